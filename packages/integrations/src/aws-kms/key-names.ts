/** KMS names a key in four ways: by its id, its ARN, an alias, an alias's ARN. What it answers is always a key's ARN. */

const keyArn = /^arn:(?<partition>[^:]+):kms:(?<region>[^:]+):(?<account>[^:]*):key\/(?<id>.+)$/;

/** Whether the name is one that can be pointed at another key. */
export function isAlias(name: string): boolean {
  return /^(arn:[^:]+:kms:[^:]+:[^:]*:)?alias\//.test(name);
}

/**
 * Whether an id or an ARN names the key of this ARN. The replicas of a multi-Region key are one key: their ids are the same, what one has
 * wrapped another opens.
 */
export function isNameOf(name: string, arn: string): boolean {
  const key = keyArn.exec(arn)?.groups;
  const named = keyArn.exec(name)?.groups;
  if (name === arn || key === undefined) return name === arn;
  if (named === undefined) return name === key['id'];
  const isReplica = key['id']!.startsWith('mrk-') && named['id'] === key['id'];
  return isReplica && named['partition'] === key['partition'] && named['account'] === key['account'];
}
