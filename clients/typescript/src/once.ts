/**
 * Sends a request once, for openapi-fetch, hey-api and other clients that accept a fetch function. Node's fetch follows
 * redirects, and repeats a POST after a 421 unless its body is a stream, which cannot be read twice.
 */
export async function sendOnce(input: RequestInfo | URL, init?: RequestInit): Promise<Response> {
  const request = new Request(input, init);
  const body = new Blob([await request.arrayBuffer()]);
  const options: RequestInit & { duplex: "half" } = {
    method: request.method,
    headers: { ...Object.fromEntries(request.headers), "Content-Length": String(body.size) },
    body: body.stream(),
    duplex: "half",
    redirect: "manual",
    // Without "omit", some Node versions report a 401 after a stream as a lost connection.
    credentials: "omit",
    signal: request.signal,
  };
  return fetch(request.url, options);
}
