import { readdirSync, readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import test from 'ava';
import ts from 'typescript';
import { packageRoot } from '../src/base/package-root.ts';

const source = join(packageRoot, 'src');
/** Where an `AppError` begins: the class, its children, and the functions that only wrap it. */
const ERRORS = /^(AppError|UsageError|CommandFailed|missing|unreachable|invalidSubnet)$/;

/** The texts that an expression can be, its `${…}` as `…`; nothing for what is only known at run time. */
function textsOf(node: ts.Node): string[] {
  if (ts.isStringLiteral(node) || ts.isNoSubstitutionTemplateLiteral(node)) return [node.text];
  if (ts.isTemplateExpression(node)) {
    return [node.head.text + node.templateSpans.map(({ literal }) => `…${literal.text}`).join('')];
  }
  if (ts.isConditionalExpression(node)) {
    return [...textsOf(node.whenTrue), ...textsOf(node.whenFalse)];
  }
  if (ts.isBinaryExpression(node) && node.operatorToken.kind === ts.SyntaxKind.PlusToken) {
    return textsOf(node.left).flatMap((left) => textsOf(node.right).map((right) => left + right));
  }
  return [];
}

/** The first argument that reads like a sentence: codes have no blank. */
function sentencesOf(call: ts.NewExpression | ts.CallExpression): string[] {
  const texts = (call.arguments ?? []).map((argument) =>
    textsOf(argument).filter((text) => text.includes(' ')),
  );
  return texts.find((found) => found.length > 0) ?? [];
}

/** Every sentence in a file that some caller or operator may read as an error. */
function errorSentences(file: string): string[] {
  const text = readFileSync(file, 'utf8');
  const found: string[] = [];
  const visit = (node: ts.Node): void => {
    const isCall = ts.isNewExpression(node) || ts.isCallExpression(node);
    if (isCall && ts.isIdentifier(node.expression) && ERRORS.test(node.expression.text)) {
      found.push(...sentencesOf(node));
    }
    ts.forEachChild(node, visit);
  };
  visit(ts.createSourceFile(file, text, ts.ScriptTarget.Latest, true));
  return found;
}

test('the message of every error is one sentence with a capital letter and a full stop', (t) => {
  const files = readdirSync(source, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts'))
    .map((name) => join(source, name));
  const all = files.flatMap((file) =>
    errorSentences(file).map((sentence) => `${relative(source, file)}: ${sentence}`),
  );
  t.true(all.length > 80, `only ${all.length} were found`);
  // A value seen may come first: in quotes, as a path, as a flag or as what `…` stands for.
  const isSentence = /^[^ ]+: ["/…A-Z-].*\.$/s;
  t.deepEqual(
    all.filter((line) => !isSentence.test(line)),
    [],
  );
});
