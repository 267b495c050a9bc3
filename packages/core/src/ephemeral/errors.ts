import { VivariumError } from '../kernel/errors.ts';
import type { StateChangeType } from './lifecycle.ts';

/** Another type of the org has this name, perhaps in another case. */
export class TypeNameTaken extends VivariumError {
  readonly code = 'type_name_taken';

  constructor(name: string) {
    super(`there already is an environment type named ${JSON.stringify(name)} (case does not matter)`);
  }
}

/** Only a ready type takes new instances: publish a draft, uncordon a cordoned one. */
export class TypeNotReady extends VivariumError {
  readonly code = 'type_not_ready';
  readonly state: string;

  constructor(state: string) {
    super(`the environment type is ${state}; only a ready one takes new instances`);
    this.state = state;
  }
}

/** A type whose instances live cannot be deleted; cordon it and take them down. */
export class TypeHasInstances extends VivariumError {
  readonly code = 'type_has_instances';

  constructor() {
    super('the environment type still has live instances; cordon it and take them down first');
  }
}

/** As many instances live as the type allows. */
export class CapacityReached extends VivariumError {
  readonly code = 'capacity_reached';
  readonly maximum: number;

  constructor(maximum: number) {
    const live = maximum === 1 ? 'one live instance' : `${maximum} live instances`;
    super(`the environment type allows at most ${live}, and has as many`);
    this.maximum = maximum;
  }
}

/** Another live instance of the type has this name, perhaps in another case. */
export class InstanceNameTaken extends VivariumError {
  readonly code = 'instance_name_taken';

  constructor(name: string) {
    super(`the type already has a live instance named ${JSON.stringify(name)} (case does not matter)`);
  }
}

/** The type has no pipeline for these kinds of change, which this needs. */
export class ActionNotDefined extends VivariumError {
  readonly code = 'action_not_defined';
  readonly missing: readonly StateChangeType[];

  constructor(missing: readonly StateChangeType[]) {
    super(`the environment type has no action for ${missing.join(', ')}; define one with actions.define`);
    this.missing = missing;
  }
}

/** A published type cannot lose an action that every published type has to have. */
export class ActionRequired extends VivariumError {
  readonly code = 'action_required';
  readonly stateChangeType: StateChangeType;

  constructor(stateChangeType: StateChangeType) {
    super(
      `a published environment type needs its action for ${stateChangeType}; replace it with actions.define instead`,
    );
    this.stateChangeType = stateChangeType;
  }
}

/** A change of the instance is under way; one at a time. */
export class ChangeInProgress extends VivariumError {
  readonly code = 'change_in_progress';
  readonly stateChangeId: string;

  constructor(stateChangeId: string, type: StateChangeType | null) {
    super(`a change of the instance is under way${type === null ? '' : ` (${type})`}; wait for it, or cancel it`);
    this.stateChangeId = stateChangeId;
  }
}

/** The change has ended, with another result or without this one's word. Nothing was changed. */
export class ChangeSuperseded extends VivariumError {
  readonly code = 'change_superseded';
  readonly result: string;

  constructor(result: string) {
    super(`the change has ended already: ${result}`);
    this.result = result;
  }
}

/** The token is not one of this change, or the change has ended and its tokens with it. */
export class InvalidToken extends VivariumError {
  readonly code = 'invalid_token';

  constructor() {
    super('the token is not one of this state change, or the change has ended');
  }
}

/** No secret of this name may be used in this way by a change of this kind. Whether it exists is not told. */
export class SecretAccessDenied extends VivariumError {
  readonly code = 'secret_access_denied';
  readonly secret: string;

  constructor(secret: string, access: 'read' | 'write', type: StateChangeType) {
    super(`a change of type ${type} may not ${access} the secret ${secret}`);
    this.secret = secret;
  }
}
