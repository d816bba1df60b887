/** A step hook that ends this process, as a power cut would, at the n-th time that a step is reached. */
export function stopDeadAt({ step, time }: { step: string; time: number }): (name: string) => void {
  let left = time;
  return (name) => {
    if (name === step && --left === 0) process.kill(process.pid, 'SIGKILL');
  };
}
