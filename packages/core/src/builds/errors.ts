import { VivariumError } from '../kernel/errors.ts';
import type { CatalogKind } from './catalog-model.ts';

const nouns: Readonly<Record<CatalogKind, string>> = {
  platform: 'a platform',
  os_version: 'an OS version',
  image_type: 'an image type',
};

/** Another entry of the same kind has this name in the org's catalog, perhaps in another case. */
export class CatalogNameTaken extends VivariumError {
  readonly code = 'catalog_name_taken';
  readonly kind: CatalogKind;

  constructor(kind: CatalogKind, name: string) {
    super(`there already is ${nouns[kind]} named ${JSON.stringify(name)} (case does not matter)`);
    this.kind = kind;
  }
}

/** Builds refer to this entry of the catalog, and keep doing so. */
export class InUse extends VivariumError {
  readonly code = 'in_use';
  readonly kind: CatalogKind;
  readonly id: string;

  constructor(kind: CatalogKind, id: string) {
    super(`builds refer to ${nouns[kind].replace(/^an? /, 'the ')} ${id}; what builds refer to cannot be deleted`);
    this.kind = kind;
    this.id = id;
  }
}

/** Another build of the org has this number. */
export class BuildNumberTaken extends VivariumError {
  readonly code = 'build_number_taken';

  constructor(buildNumber: string) {
    super(`there already is a build with the number ${JSON.stringify(buildNumber)}`);
  }
}
