import { Argument, type Command } from 'commander';
import type { Context } from '../context.ts';
import { bashCompletion, zshCompletion } from '../manual.ts';

const SHELLS = { bash: bashCompletion, zsh: zshCompletion } as const;

/** completion: what a shell reads to complete weft's commands. */
export function addCompletionCommand(program: Command, context: Context): void {
  program
    .command('completion')
    .addArgument(new Argument('<shell>', 'bash or zsh').choices(Object.keys(SHELLS)))
    .description('print what a shell reads to complete these commands')
    .addHelpText('after', '\nExample:\n  source <(weft completion bash)')
    .action((shell: keyof typeof SHELLS) => context.io.out(SHELLS[shell](program)));
}
