/** A process that dies: its calls to the outside are counted, and from one of them on nothing of it is ever heard again. */
import { ResultAsync } from '@vivarium/core';

/** The life of one process. */
export interface Life {
  /** Calls to the outside so far; each counts twice, before its effect and after it. */
  readonly steps: number;
  /** Resolves when it dies. */
  readonly death: Promise<'died'>;
  /** The same object, whose calls this process makes: it dies before the effect of one of them, or after it and before anybody has heard of it. */
  living<T extends object>(ports: T): T;
}

/** A process that dies at this step; never when `null`. */
export function lifeUntil(step: number | null): Life {
  const { promise: death, resolve: die } = Promise.withResolvers<'died'>();
  const forever = new Promise<never>(() => undefined);
  let steps = 0;
  let dead = false;
  const survives = () => {
    steps++;
    if (steps === step) {
      dead = true;
      die('died');
    }
    return !dead;
  };

  const living = <T extends object>(ports: T): T =>
    new Proxy(ports, {
      get(target, name, receiver) {
        const value: unknown = Reflect.get(target, name, receiver);
        if (typeof value === 'object' && value !== null) return living(value);
        if (typeof value !== 'function') return value;
        return (...args: unknown[]) => {
          if (!survives()) return new ResultAsync(forever);
          const answer: unknown = Reflect.apply(value, target, args);
          if (answer instanceof ResultAsync) {
            return new ResultAsync(Promise.resolve(answer).then((result) => (survives() ? result : forever)));
          }
          return answer instanceof Promise ? answer.then((result: unknown) => (survives() ? result : forever)) : answer;
        };
      },
    });
  return {
    get steps() {
      return steps;
    },
    death,
    living,
  };
}
