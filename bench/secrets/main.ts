/**
 * Opening sealed values against a plain loop of `node:crypto` over the same values, and deciding a transition against xstate, which is sent
 * the same events. In turns, in one process.
 */
import { createSecretKey, randomBytes } from 'node:crypto';

import { ok, unwrap } from '@vivarium/core';

import { DataKeys } from '../../packages/core/src/keys/data-keys.ts';
import { defaultKeyCacheLimits, OpenedKeys } from '../../packages/core/src/keys/opened-keys.ts';
import { seal } from '../../packages/core/src/keys/sealing.ts';
import type { Place } from '../../packages/core/src/keys/sealing.ts';
import type { DataKeyRepository } from '../../packages/core/src/keys/repository.ts';
import type { LoadedType, StoredInstance } from '../../packages/core/src/ephemeral/model.ts';
import { stateAfter, stateWhile } from '../../packages/core/src/ephemeral/lifecycle.ts';
import type { InstanceState } from '../../packages/core/src/ephemeral/lifecycle.ts';
import { endChange, newAction, startChange } from '../../packages/core/src/ephemeral/rules.ts';
import { interleave } from '../storage/interleave.ts';
import { openAllPlainly } from './opening.ts';
import { lifecycleActor } from './transitions.ts';

const values = 100;
const rounds = 400;

await opening();
await transitions();

async function opening(): Promise<void> {
  const id = '01936f5e-0000-7000-8000-000000000001';
  const key = createSecretKey(randomBytes(32));
  const scope = { type: 'project', id: 'p' } as const;
  const sealed = Array.from({ length: values }, (_, n) => {
    const place: Place = { orgId: 'acme', scope, ownerId: 'e', name: `SECRET_${n}`, sealVersion: 1 };
    return { place, sealed: seal(id, key, place, `the value of the secret number ${n}`) };
  });
  const opened = new OpenedKeys({ ...defaultKeyCacheLimits, maxUses: Number.MAX_SAFE_INTEGER });
  opened.put(id, key, Date.now());
  const ports = { keys: null, opened, clock: { now: () => new Date() }, ids: { next: () => id } };
  const dataKeys = new DataKeys(ports, {} as DataKeyRepository, 'acme');

  const outcome = await interleave({
    name: `opening ${values} values, key at hand`,
    rounds,
    peer: async () => openAllPlainly(key, sealed),
    ours: [async () => unwrap(dataKeys.openAll(scope, sealed))],
  });
  const [ours] = outcome.ours;
  print(outcome.name, 'plain node:crypto', outcome.peer, ours!.milliseconds, `${ours!.ratio.toFixed(2)} × its time`);
}

async function transitions(): Promise<void> {
  const at = new Date();
  const by = { type: 'user', id: 'ada' };
  const action = newAction({ stateChangeType: 'deploying', pipelineYamlName: 'deploy.yml' }, { id: 'a', at });
  const type = {
    id: 't',
    state: 'ready',
    changeTimeoutMs: 1,
    actions: [action],
    createdBy: by,
  } as unknown as LoadedType;
  const idle = { id: 'i', state: 'in_use', pendingChangeId: null, changeSequence: 0, version: 1 } as StoredInstance;
  const request = { type: 'deploying', trigger: by as never, parameters: {}, tokenHash: '' } as const;
  const turns = 2_000;

  const actor = lifecycleActor();
  for (const event of ['provisioning', 'passed', 'deploying', 'passed']) actor.send({ type: event });

  const outcome = await interleave({
    name: `${turns} changes started and ended`,
    rounds: 100,
    peer: async () => {
      for (let n = 0; n < turns; n++) {
        actor.send({ type: 'deploying' });
        actor.send({ type: 'passed' });
      }
    },
    ours: [
      async () => {
        let state: InstanceState | null = 'in_use';
        for (let n = 0; n < turns; n++) {
          if (state === null || stateWhile(state, 'deploying') === null) throw new Error('the table has changed');
          state = stateAfter('deploying', true, null);
        }
        return state;
      },
      async () => {
        let instance = idle;
        for (let n = 0; n < turns; n++) {
          const started = startChange(instance, null, type, request, { id: 'c', at })._unsafeUnwrap();
          const ended = endChange(started.instance, started.stateChange, { result: 'passed', reason: null }, at);
          instance = (ended._unsafeUnwrap() as { instance: StoredInstance }).instance;
        }
        return ok(instance);
      },
    ],
  });
  for (const [index, what] of ['decided', 'decided, with the rows to write'].entries()) {
    const { milliseconds, ratio } = outcome.ours[index]!;
    print(`${outcome.name}, ${what}`, 'xstate', outcome.peer, milliseconds, `${(1 / ratio).toFixed(1)} × as fast`);
  }
}

function print(name: string, peer: string, theirs: number, ours: number, verdict: string): void {
  console.log(`  ${name}: ${ours.toFixed(3)} ms, ${peer} ${theirs.toFixed(3)} ms: ${verdict}`);
}
