import { unwrap } from '@vivarium/core';
import type { Builds, ImageType, OsVersion, Platform } from '@vivarium/core';

/** What the builds of the example are made of. */
export interface ExampleCatalog {
  readonly platforms: readonly Platform[];
  readonly osVersions: readonly OsVersion[];
  readonly imageTypes: readonly ImageType[];
}

export async function makeCatalog({ catalog }: Builds): Promise<ExampleCatalog> {
  return {
    platforms: [
      unwrap(
        await catalog.platforms.create({ name: 'aws-commercial', displayName: 'AWS Commercial', cloudProvider: 'aws' }),
      ),
      unwrap(await catalog.platforms.create({ name: 'azure', displayName: 'Azure', cloudProvider: 'azure' })),
      unwrap(await catalog.platforms.create({ name: 'gcp', displayName: 'Google Cloud', cloudProvider: 'gcp' })),
    ],
    osVersions: [
      unwrap(
        await catalog.osVersions.create({
          name: 'rhel-9.4',
          displayName: 'RHEL 9.4',
          osFamily: 'rhel',
          majorVersion: 9,
          minorVersion: 4,
        }),
      ),
      unwrap(
        await catalog.osVersions.create({
          name: 'sles-15.6',
          displayName: 'SLES 15 SP6',
          osFamily: 'sles',
          majorVersion: 15,
          minorVersion: 6,
        }),
      ),
    ],
    imageTypes: [
      unwrap(await catalog.imageTypes.create({ name: 'base', displayName: 'Base' })),
      unwrap(await catalog.imageTypes.create({ name: 'hana', displayName: 'HANA' })),
    ],
  };
}
