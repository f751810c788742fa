import type { ClientRequest, IncomingMessage } from 'node:http';

/** The head of the answer to a request that has been sent. Rejects if there is none. */
export function answered(sent: ClientRequest): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    // Later errors come by the answer too, but one without a listener would end the process.
    sent.on('error', reject);
    sent.once('response', resolve);
  });
}

/** The body as UTF-8. Rejects with what `tooLong` makes if it has more than `most` bytes. */
export async function readText(
  message: IncomingMessage,
  most: number,
  tooLong: () => Error,
): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of message as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > most) throw tooLong();
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}
