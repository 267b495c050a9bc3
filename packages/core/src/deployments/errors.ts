import { VivariumError } from '../kernel/errors.ts';

/** The project has an app of this repository already; it can have one. */
export class AppExists extends VivariumError {
  readonly code = 'app_exists';
  readonly appId: string | null;

  constructor(appId: string | null = null) {
    super('the project has an app of this repository already');
    this.appId = appId;
  }
}

/** The preview manager drives this environment: use `previews` for it. */
export class ManagedByPreview extends VivariumError {
  readonly code = 'managed_by_preview';
  readonly appId: string;

  constructor(appId: string) {
    super(`the environment is driven by the previews of app ${appId}; use previews for it`);
    this.appId = appId;
  }
}

/** Previews below this still have a runtime, which would be orphaned: stop them first. */
export class HasLivePreviews extends VivariumError {
  readonly code = 'has_live_previews';

  constructor(resource: string) {
    super(`the ${resource} has previews whose runtime still exists; stop them first`);
  }
}
