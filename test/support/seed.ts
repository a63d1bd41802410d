/** The seed of a random test: `ATTUNE_SEED` when set, else `byDefault`; printed, so that a failure can be repeated. */
export function seedOf(name: string, byDefault: number): number {
  const seed = process.env.ATTUNE_SEED === undefined ? byDefault : Number(process.env.ATTUNE_SEED);
  console.log(`${name}: seed ${seed} (set ATTUNE_SEED to repeat another run)`);
  return seed;
}
