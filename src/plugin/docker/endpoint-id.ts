/** Weft's ids are half as long as Docker's; they are chosen by chance, so half of one is as good. */
const ID_DIGITS = 32;

/** Weft's id of one of Docker's endpoints. */
export const weftEndpointId = (endpoint: string): string => endpoint.slice(0, ID_DIGITS);
