import { VivariumError } from '../kernel/errors.ts';

/** Another environment of the project has this name, perhaps in another case. */
export class EnvironmentNameTaken extends VivariumError {
  readonly code = 'environment_name_taken';
  readonly projectId: string;

  constructor(name: string, projectId: string) {
    super(`the project already has an environment named ${JSON.stringify(name)} (case does not matter)`);
    this.projectId = projectId;
  }
}

/** A project always keeps one environment; this is its last. */
export class LastEnvironment extends VivariumError {
  readonly code = 'last_environment';
  readonly projectId: string;

  constructor(projectId: string) {
    super('the last environment of a project cannot be deleted; create another one first, or delete the project');
    this.projectId = projectId;
  }
}

/** A file format cannot hold this value so that it reads back equal. The value itself is not shown. */
export class UnrepresentableValue extends VivariumError {
  readonly code = 'unrepresentable_value';
  readonly format: string;
  readonly key: string;
  readonly reason: string;

  constructor(format: string, key: string, reason: string) {
    super(`${format} cannot hold the value of ${key}: ${reason}`);
    this.format = format;
    this.key = key;
    this.reason = reason;
  }
}
