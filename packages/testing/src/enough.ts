/**
 * How long random commands of many clients go on. How many of them do something is a matter of who meets whom, so what is asked for is not a share of
 * those that were sent: they are sent until enough have done something.
 */

/** How many of a run's commands have to do something, for its checks to have something to look at. */
export function enoughOf(commands: number): number {
  return Math.ceil(commands / 4);
}

/**
 * Asked before each command: whether there is to be one more. All of the run's commands, and then as many as it takes until enough have done something. Where nothing
 * ever does, it ends, after twenty times as many.
 */
export function untilEnough(commands: number, done: () => number): () => boolean {
  let sent = 0;
  return () => {
    if (sent >= commands && (done() >= enoughOf(commands) || sent >= 20 * commands)) return false;
    sent++;
    return true;
  };
}
