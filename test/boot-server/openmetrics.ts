export interface Family {
  type: string;
  /** By `name{label="value",…}` as it stands there. */
  samples: ReadonlyMap<string, number>;
}

const SAMPLE = /^([a-z_]+)(?:\{([a-z_]+="[^"\\\n]*"(?:,[a-z_]+="[^"\\\n]*")*)\})? (-?[0-9.e+-]+|NaN|\+Inf)$/;
const SUFFIXES: Readonly<Record<string, readonly string[]>> = {
  counter: ['_total'],
  histogram: ['_bucket', '_sum', '_count'],
  gauge: [''],
};

/** As strict as OpenMetrics 1.0.0 is about what we write: families whole and once, suffixes by type, an end. */
export function parseOpenMetrics(text: string): ReadonlyMap<string, Family> {
  if (!text.endsWith('\n# EOF\n')) throw new Error('no # EOF at the end');
  const families = new Map<string, { type: string; samples: Map<string, number> }>();
  let current: { name: string; type: string; samples: Map<string, number> } | undefined;
  for (const line of text.slice(0, -'# EOF\n'.length).trimEnd().split('\n')) {
    const [, keyword, name = '', rest = ''] = /^# (HELP|TYPE) ([a-z_]+) (.+)$/.exec(line) ?? [];
    if (keyword === 'TYPE') {
      if (families.has(name)) throw new Error(`${name} stands there twice`);
      current = { name, type: rest, samples: new Map() };
      families.set(name, current);
    }
    if (keyword !== undefined) continue;
    const sample = SAMPLE.exec(line);
    if (sample === null || current === undefined) throw new Error(`no sample: ${line}`);
    const { name: family, type, samples } = current;
    const [, sampleName, labels, value] = sample;
    if (!(SUFFIXES[type] ?? []).some((suffix) => sampleName === `${family}${suffix}`))
      throw new Error(`${sampleName} is no sample of the ${type} ${family}`);
    const key = labels === undefined ? `${sampleName}` : `${sampleName}{${labels}}`;
    if (samples.has(key)) throw new Error(`${key} stands there twice`);
    samples.set(key, value === '+Inf' ? Number.POSITIVE_INFINITY : Number(value));
  }
  return families;
}

/** Every sample of every family. */
export function samplesOf(text: string): ReadonlyMap<string, number> {
  return new Map([...parseOpenMetrics(text).values()].flatMap(({ samples }) => [...samples]));
}
