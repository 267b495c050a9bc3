import type { PackerError, PackerEvent, PackerMessage } from './events.ts';

/** A failure as `builds.states.fail` takes it. */
export interface PackerFailure {
  readonly failureType: string;
  readonly component: string | null;
  readonly errorMessage: string;
  readonly errorDetails: {
    readonly errors: readonly { readonly target: string | null; readonly message: string }[];
    readonly exitCode: number | null;
  };
}

/** What is at work: who is to blame for an error that comes now. */
type Stage = {
  readonly kind: 'template' | 'builder' | 'provisioner' | 'post_processor';
  readonly component: string | null;
};

const maximumErrors = 10;

/** Listens for what goes wrong in a run, and where. */
export class FailureWatch {
  readonly #target: string | undefined;
  #stage: Stage = { kind: 'template', component: null };
  readonly #errors: PackerError[] = [];
  #lastRed: string | null = null;
  #failing = false;
  #finished = false;

  constructor(target: string | undefined) {
    this.#target = target;
  }

  /** Whether a step has failed: what is said from now on is said while cleaning up. */
  get failing(): boolean {
    return this.#failing;
  }

  see(event: PackerEvent): void {
    if (event.type === 'message') this.#listen(event);
    if (event.type === 'error' && (this.#target === undefined || event.target === this.#target)) {
      this.#failing = true;
      this.#errors.push(event);
    }
  }

  /** What went wrong, once the output has ended; `null` when nothing did. */
  verdict(exitCode: number | null): PackerFailure | null {
    const first = this.#errors[0];
    if (first !== undefined) return this.#failure(failureTypeOf(first.message, this.#stage), first.message, exitCode);
    if (this.#finished && (exitCode === null || exitCode === 0 || this.#target !== undefined)) return null;
    if (this.#stage.kind === 'template' && this.#lastRed !== null) {
      return this.#failure('template_refused', this.#lastRed, exitCode);
    }
    const how = exitCode === null ? 'without saying how' : `with exit code ${exitCode}`;
    return this.#failure('interrupted', `packer ended ${how}`, exitCode);
  }

  #listen({ level, text }: PackerMessage): void {
    if (level === 'error') this.#lastRed = text;
    if (level !== 'message') this.#finished ||= /^\s*==> Builds finished\b/.test(text);
    if (!this.#isOurs(text)) return;
    this.#failing ||= /Provisioning step had errors|^Build '.*' errored/.test(text);
    // Red is whatever a script prints on its standard error.
    if (!this.#failing && level === 'say') this.#stage = stageIn(text) ?? this.#stage;
  }

  /** Messages name their builder in the text: `==> amazon-ebs.base: Stopping the source instance`. */
  #isOurs(text: string): boolean {
    if (this.#target === undefined) return true;
    const named = /^\s*(?:==>|-->)?\s*([^\s:][^:]*):|^Build '([^']+)'/.exec(text);
    return named === null || (named[1] ?? named[2]) === this.#target;
  }

  #failure(failureType: string, message: string, exitCode: number | null): PackerFailure {
    const { component } = this.#stage;
    return {
      failureType,
      component: component ?? this.#errors[0]?.target ?? this.#target ?? null,
      errorMessage: tidy(message, 2_000) || 'packer gave no reason',
      errorDetails: {
        errors: this.#errors.slice(0, maximumErrors).map(({ target, message: said }) => ({
          target: target === null ? null : tidy(target, 50),
          message: tidy(said, 80),
        })),
        exitCode,
      },
    };
  }
}

function stageIn(text: string): Stage | null {
  const provisioner = /Provisioning with ([\w.-]+)|Running (local) shell script/i.exec(text);
  if (provisioner !== null) {
    const component = provisioner[2] === undefined ? provisioner[1]!.toLowerCase().replace(/\.+$/, '') : 'shell-local';
    return { kind: 'provisioner', component };
  }
  const postProcessor = /Running post-processor: ([\w.-]+)/i.exec(text);
  if (postProcessor !== null) return { kind: 'post_processor', component: postProcessor[1]! };
  return /^\s*==> \S+: /.test(text) ? { kind: 'builder', component: null } : null;
}

function failureTypeOf(message: string, { kind }: Stage): string {
  if (/timeout waiting for (ssh|winrm)/i.test(message)) return 'connection_timeout';
  switch (kind) {
    case 'provisioner':
      return 'provisioner_failed';
    case 'post_processor':
      return 'post_processor_failed';
    case 'builder':
    case 'template':
      return 'builder_failed';
  }
}

/** Text as every storage can hold it, and not too much of it. */
function tidy(text: string, maximum: number): string {
  const characters = [...text.toWellFormed().replaceAll('\0', '').trim()];
  return characters.length <= maximum ? characters.join('') : `${characters.slice(0, maximum - 1).join('')}…`;
}
