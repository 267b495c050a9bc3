import type { Storage } from '@vivarium/core/storage';

import { answer } from './answer.ts';
import { buildStatements, sqlBuilds } from './builds.ts';
import { catalogStatements, sqlCatalog } from './catalog.ts';
import { dataKeyStatements, sqlDataKeys } from './data-keys.ts';
import { deploymentStatements, sqlDeployments } from './deployments.ts';
import type { Engine, Executor } from './dialect.ts';
import { environmentStatements, sqlEnvironments } from './environments.ts';
import { ephemeralStatements, sqlEphemeral } from './ephemeral.ts';
import { journalStatements, sqlJournal } from './journal.ts';
import { previewStatements, sqlPreviews } from './previews.ts';
import { projectStatements, sqlProjects } from './projects.ts';
import { diagnosisStatements } from './write.ts';

/** A storage over one engine. Its statements are made here, once; `within` shares them. */
export function sqlStorage<Transaction>(engine: Engine<Transaction>): Required<Storage<Transaction>> {
  const { dialect } = engine;
  const statements = {
    projects: projectStatements(dialect),
    environments: environmentStatements(dialect),
    ephemeral: ephemeralStatements(dialect),
    catalog: catalogStatements(dialect),
    builds: buildStatements(dialect),
    deployments: deploymentStatements(dialect),
    previews: previewStatements(dialect),
    journal: journalStatements(dialect),
    dataKeys: dataKeyStatements(dialect),
    diagnosis: diagnosisStatements(dialect),
  };
  const repositories = (executor: Executor) => {
    const session = { dialect, executor, diagnosis: statements.diagnosis };
    return {
      projects: sqlProjects(session, statements.projects),
      environments: sqlEnvironments(session, statements.environments),
      ephemeral: sqlEphemeral(session, statements.ephemeral),
      catalog: sqlCatalog(session, statements.catalog),
      builds: sqlBuilds(session, statements.builds),
      deployments: sqlDeployments(session, statements.deployments),
      previews: sqlPreviews(session, statements.previews),
      journal: sqlJournal(session, statements.journal),
      dataKeys: sqlDataKeys(session, statements.dataKeys),
    };
  };
  const upkeep = {
    name: engine.name,
    migrate: () => answer(() => engine.migrate()),
    status: () => answer(() => engine.status()),
    close: () => answer(() => engine.close()),
  };

  return {
    ...upkeep,
    ...repositories(engine.executor),
    within: (transaction) => ({ ...upkeep, ...repositories(engine.within(transaction)) }),
  };
}
