import { VivariumError } from '../kernel/errors.ts';

/** Another project of the org has this name, perhaps in another case. */
export class ProjectNameTaken extends VivariumError {
  readonly code = 'project_name_taken';

  constructor(name: string) {
    super(`there already is a project named ${JSON.stringify(name)} (case does not matter)`);
  }
}

/** A project cannot move below itself. `path` leads from the new parent up to the project. */
export class ProjectCycle extends VivariumError {
  readonly code = 'project_cycle';
  readonly path: readonly string[];

  constructor(path: readonly string[]) {
    super(`a project cannot be moved below itself: ${path.join(' is in ')}`);
    this.path = path;
  }
}

/** A project that has children cannot be deleted; delete or move them first. */
export class ProjectHasChildren extends VivariumError {
  readonly code = 'project_has_children';
  readonly projectId: string;

  constructor(projectId: string) {
    super('the project has child projects; delete or move them first');
    this.projectId = projectId;
  }
}

/** Previews of the project still have a runtime, which would be orphaned: stop them first. */
export class ProjectHasLivePreviews extends VivariumError {
  readonly code = 'project_has_live_previews';
  readonly projectId: string;

  constructor(projectId: string) {
    super(`the project ${projectId} has previews whose runtime still exists; stop them first`);
    this.projectId = projectId;
  }
}
