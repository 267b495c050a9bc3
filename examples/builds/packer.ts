/** Stands in for `packer build -machine-readable`, and prints what it would. */
export type Outcome = 'delivered' | 'mirror is down' | 'disk is full';

export async function* run(outcome: Outcome): AsyncGenerator<string> {
  const print = (target: string, type: string, ...data: readonly string[]) =>
    `${[Math.floor(Date.now() / 1_000), target, type, ...data].join(',')}\n`;
  const say = (text: string) => print('', 'ui', 'say', `==> amazon-ebs: ${text}`);

  yield say('Launching a source AWS instance...');
  yield say('Waiting for SSH to become available...');
  yield say('Connected to SSH!');
  yield say('Provisioning with Ansible...');
  yield print('', 'ui', 'message', '    amazon-ebs: vivarium:milestone 25');
  if (outcome !== 'delivered') {
    yield say('Provisioning step had errors: Running the cleanup provisioner%!(PACKER_COMMA) if present...');
    yield print('', 'error-count', '1');
    yield print(
      'amazon-ebs',
      'error',
      outcome === 'disk is full' ? 'No space left on device' : 'Cannot reach the mirror',
    );
    yield print('', 'ui', 'say', String.raw`\n==> Builds finished but no artifacts were created.`);
    return;
  }
  yield print('', 'ui', 'message', '    amazon-ebs: vivarium:milestone 55');
  yield say('Stopping the source instance...');
  yield say('Creating AMI from instance i-0a1b2c');
  yield say('Running post-processor: manifest');
  yield print('', 'ui', 'say', String.raw`\n==> Builds finished. The artifacts of successful builds are:`);
  yield print('amazon-ebs', 'artifact', '0', 'id', 'us-east-1:ami-0123456789');
}
