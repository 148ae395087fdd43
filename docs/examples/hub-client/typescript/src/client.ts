// A client that signs in, repeats what may be repeated, and turns pages. It needs `fetch` alone.

/** A GraphQL document; `V` are its variables, `R` its data. */
export interface Operation<V, R> {
  readonly name: string;
  readonly document: string;
  /** Never there: it ties the types to the document. */
  readonly types?: (variables: V) => R;
}

/** The hub refused an operation as a whole. `code` is stable; declines are answers, not errors. */
export class HubError extends Error {
  constructor(
    readonly code: string,
    message: string,
  ) {
    super(`${message} [${code}]`);
  }
}

const MOST_TRIES = 5;
const LONGEST_WAIT_MS = 30_000;
/** A token is renewed this long before it ends. */
const MARGIN_MS = 60_000;
const AGAIN = new Set([429, 502, 503, 504]);

const pause = (ms: number) => new Promise<void>((done) => setTimeout(done, ms));

/** One system that calls the hub, for as long as it runs. */
export class HubClient {
  #token = "";
  #until = 0;
  #signingIn: Promise<string> | null = null;

  constructor(
    private readonly url: string,
    private readonly clientId: string,
    private readonly clientSecret: string,
    private readonly send: typeof fetch = fetch,
  ) {}

  /**
   * Returns the data of an operation; throws HubError, or what `fetch` throws at the end of tries.
   *
   * It is sent again when no answer came: whatever changes something carries an idempotency key,
   * under which the hub does it once and answers the same.
   */
  async execute<V, R>(operation: Operation<V, R>, variables: V): Promise<R> {
    const body = JSON.stringify({
      query: operation.document,
      operationName: operation.name,
      variables,
    });
    let answer = await this.#post(body);
    if (answer.status === 401) {
      this.#until = 0;
      answer = await this.#post(body);
    }
    const told = await answer.json();
    if (told.error) throw new HubError(told.error.code, told.error.message);
    for (const error of told.errors ?? []) {
      throw new HubError(error.extensions.code, error.message);
    }
    return told.data as R;
  }

  async #post(body: string): Promise<Response> {
    for (let tried = 1; ; tried++) {
      try {
        const answer = await this.send(new URL("/graphql", this.url), {
          method: "POST",
          headers: {
            authorization: `Bearer ${await this.#signedIn()}`,
            "content-type": "application/json",
          },
          body,
        });
        if (!AGAIN.has(answer.status) || tried === MOST_TRIES) return answer;
        const said = Number(answer.headers.get("retry-after") ?? NaN);
        await pause(Math.min(Number.isFinite(said) ? said * 1000 : 100 * 2 ** tried, LONGEST_WAIT_MS));
      } catch (failure) {
        if (failure instanceof HubError || tried === MOST_TRIES) throw failure;
        await pause(100 * 2 ** tried);
      }
    }
  }

  /** Returns a token that still lives a while; callers at once wait for the same one. */
  async #signedIn(): Promise<string> {
    if (Date.now() < this.#until) return this.#token;
    this.#signingIn ??= this.#signIn().finally(() => (this.#signingIn = null));
    return this.#signingIn;
  }

  async #signIn(): Promise<string> {
    const both = `${encodeURIComponent(this.clientId)}:${encodeURIComponent(this.clientSecret)}`;
    const answer = await this.send(new URL("/oauth/token", this.url), {
      method: "POST",
      headers: { authorization: `Basic ${btoa(both)}` },
      body: new URLSearchParams({ grant_type: "client_credentials" }),
    });
    if (AGAIN.has(answer.status)) throw new Error(`no token: ${answer.status}`);
    const told = await answer.json();
    if (!answer.ok) throw new HubError(told.error, told.error_description);
    this.#until = Date.now() + told.expires_in * 1000 - MARGIN_MS;
    return (this.#token = told.access_token);
  }
}

/** Yields what is on all pages. `page` takes a cursor and returns nodes and the next cursor. */
export async function* pages<T>(
  page: (after: string | null) => Promise<readonly [ReadonlyArray<T>, string | null]>,
): AsyncGenerator<T> {
  let after: string | null = null;
  do {
    const [nodes, next]: readonly [ReadonlyArray<T>, string | null] = await page(after);
    yield* nodes;
    after = next;
  } while (after !== null);
}
