package org.threegate.analysis.calibration;

import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.SplittableRandom;
import org.threegate.analysis.statistics.Verdict;
import org.threegate.dtype.Dtype;

/**
 * An update whose truth is known.
 *
 * @param name name in tables
 * @param description what the update is, as a phrase
 * @param truth what is true of it
 * @param base dtype in which the base is stored
 * @param tuned dtype in which the result is stored
 * @param maker makes the update of a matrix
 */
record KnownUpdate(
    String name, String description, Truth truth, Dtype base, Dtype tuned, Maker maker)
    implements Known {
  /** Size of updates, relative to the root of the mean square of the matrix. */
  static final double STEP = 3e-3;

  private static final int BLOCK = 16;
  private static final int WINDOW = 5;

  /** Makes the update of one matrix. */
  interface Maker {
    /**
     * Returns the update.
     *
     * @param matrix the base, as it is stored
     * @param random the only source of randomness
     */
    Weights of(Principal matrix, SplittableRandom random);
  }

  /** A draw of one entry, given the entry of the base relative to its root of the mean square. */
  private interface Noise {
    double at(double entry, SplittableRandom random);
  }

  /** All updates, in the order of tables. */
  static List<KnownUpdate> all() {
    List<KnownUpdate> all = new ArrayList<>();
    distributions(all);
    profiles(all);
    structures(all);
    rescalings(all);
    planted(all);
    return List.copyOf(all);
  }

  private static KnownUpdate nothing(String name, String description, Maker maker) {
    return new KnownUpdate(name, description, Truth.NOTHING, Dtype.BF16, Dtype.BF16, maker);
  }

  private static KnownUpdate entries(String name, String description, double size, Noise noise) {
    return nothing(
        name,
        description,
        (matrix, random) -> {
          Weights base = matrix.weights();
          double rms = base.rms();
          return base.like((i, j) -> noise.at(base.at(i, j) / rms, random)).scaledTo(size * rms);
        });
  }

  private static void distributions(List<KnownUpdate> all) {
    Noise gaussian = (entry, random) -> Weights.gaussian(random);
    all.add(entries("gaussian", "Gaussian noise", STEP, gaussian));
    all.add(
        entries("small", "Gaussian noise that bf16 hides in most entries", STEP / 10, gaussian));
    all.add(
        entries("large", "Gaussian noise that changes nearly every entry", STEP * 10, gaussian));
    all.add(
        entries("uniform", "uniform noise", STEP, (entry, random) -> 2 * random.nextDouble() - 1));
    all.add(
        entries("signs", "noise of one size and random signs", STEP, (e, random) -> sign(random)));
    all.add(
        entries(
            "laplace",
            "Laplace noise",
            STEP,
            (entry, random) -> -sign(random) * Math.log(1 - random.nextDouble())));
    all.add(entries("t5", "noise with Student's distribution of 5 degrees", STEP, student(5)));
    all.add(entries("t3", "noise with Student's distribution of 3 degrees", STEP, student(3)));
    all.add(
        entries(
            "sparse-10",
            "Gaussian noise in a tenth of the entries",
            STEP,
            (entry, random) -> random.nextDouble() < 0.1 ? Weights.gaussian(random) : 0));
    all.add(
        entries(
            "sparse-1",
            "Gaussian noise in a hundredth of the entries",
            STEP,
            (entry, random) -> random.nextDouble() < 0.01 ? Weights.gaussian(random) : 0));
    for (int rank : new int[] {1, 8, 32}) {
      all.add(
          nothing(
              "rank-" + rank,
              "random update of rank " + rank,
              (matrix, random) -> {
                Weights base = matrix.weights();
                return Weights.product(
                        Weights.gaussian(base.rows(), rank, random),
                        Weights.gaussian(base.columns(), rank, random))
                    .scaledTo(STEP * base.rms());
              }));
    }
    all.add(
        entries(
            "magnitude",
            "noise in proportion to the magnitude of the weight",
            STEP,
            (entry, random) -> Math.abs(entry) * Weights.gaussian(random)));
    all.add(
        entries(
            "root-magnitude",
            "noise in proportion to the root of the magnitude",
            STEP,
            (entry, random) -> Math.sqrt(Math.abs(entry)) * Weights.gaussian(random)));
    all.add(
        entries(
            "inverse-magnitude",
            "larger noise in smaller weights",
            STEP,
            (entry, random) -> Weights.gaussian(random) / (0.1 + Math.abs(entry))));
  }

  private static double sign(SplittableRandom random) {
    return random.nextBoolean() ? 1 : -1;
  }

  private static Noise student(int degrees) {
    return (entry, random) -> {
      double squares = 0;
      for (int i = 0; i < degrees; i++) {
        double normal = Weights.gaussian(random);
        squares += normal * normal;
      }
      return Weights.gaussian(random) / Math.sqrt(squares / degrees);
    };
  }

  /** Gaussian noise whose size depends on the row and the column. */
  private static KnownUpdate profile(
      String name, String description, ProfileOf rows, ProfileOf columns) {
    return nothing(
        name,
        description,
        (matrix, random) -> {
          Weights base = matrix.weights();
          double[] ofRows = rows.of(base.rowRms(), random);
          double[] ofColumns = columns.of(base.columnRms(), random);
          return base.like((i, j) -> ofRows[i] * ofColumns[j] * Weights.gaussian(random))
              .scaledTo(STEP * base.rms());
        });
  }

  /** Makes a profile from the sizes of the rows or columns of the base. */
  private interface ProfileOf {
    double[] of(double[] sizes, SplittableRandom random);

    static ProfileOf flat() {
      return sizes((size, random) -> 1);
    }

    static ProfileOf sizes(Noise noise) {
      return (sizes, random) -> {
        double[] profile = new double[sizes.length];
        for (int i = 0; i < sizes.length; i++) {
          profile[i] = noise.at(Math.max(sizes[i], Double.MIN_NORMAL), random);
        }
        return profile;
      };
    }

    static ProfileOf power(double exponent) {
      return sizes((size, random) -> Math.pow(size, exponent));
    }

    static ProfileOf lognormal(double deviation) {
      return sizes((size, random) -> Math.exp(deviation * Weights.gaussian(random)));
    }
  }

  private static void profiles(List<KnownUpdate> all) {
    ProfileOf flat = ProfileOf.flat();
    all.add(profile("rows", "noise with random row sizes", ProfileOf.lognormal(0.7), flat));
    all.add(profile("columns", "noise with random column sizes", flat, ProfileOf.lognormal(0.7)));
    all.add(
        profile(
            "rows-columns",
            "noise with random row and column sizes",
            ProfileOf.lognormal(0.7),
            ProfileOf.lognormal(0.7)));
    all.add(
        profile("large-rows", "noise in proportion to the row norms", ProfileOf.power(1), flat));
    all.add(
        profile(
            "small-rows",
            "noise in inverse proportion to the row norms",
            ProfileOf.power(-1),
            flat));
    all.add(
        profile(
            "large-columns", "noise in proportion to the column norms", flat, ProfileOf.power(1)));
    all.add(
        profile(
            "small-columns",
            "noise in inverse proportion to the column norms",
            flat,
            ProfileOf.power(-1)));
    all.add(
        profile(
            "small-both",
            "noise in inverse proportion to row and column norms",
            ProfileOf.power(-1),
            ProfileOf.power(-1)));
    ProfileOf few = ProfileOf.sizes((size, random) -> random.nextDouble() < 0.1 ? 1 : 0.03);
    all.add(profile("few-rows", "noise in a tenth of the rows", few, flat));
    all.add(profile("few-columns", "noise in a tenth of the columns", flat, few));
  }

  /** Updates with a structure that no training gave them. */
  private static void structures(List<KnownUpdate> all) {
    all.add(
        entries(
            "clipped",
            "Gaussian noise that is clipped at half of its deviation",
            STEP,
            (entry, random) -> Math.max(-0.5, Math.min(0.5, Weights.gaussian(random)))));
    all.add(
        entries(
            "quantised",
            "Gaussian noise in multiples of its deviation",
            STEP,
            (entry, random) -> Math.rint(Weights.gaussian(random))));
    all.add(
        entries(
            "shifted",
            "Gaussian noise with a mean",
            STEP,
            (entry, random) -> 0.3 + Weights.gaussian(random)));
    all.add(
        nothing(
            "blocks",
            "noise in half of the blocks of 16 x 16 entries",
            (matrix, random) -> {
              Weights base = matrix.weights();
              double[][] sizes =
                  Weights.gaussian(base.rows() / BLOCK + 1, base.columns() / BLOCK + 1, random);
              return base.like(
                      (i, j) -> sizes[i / BLOCK][j / BLOCK] > 0 ? Weights.gaussian(random) : 0)
                  .scaledTo(STEP * base.rms());
            }));
    all.add(
        nothing(
            "heads",
            "noise whose size differs between blocks of 16 rows",
            (matrix, random) -> {
              Weights base = matrix.weights();
              double[][] sizes = Weights.gaussian(base.rows() / BLOCK + 1, 1, random);
              return base.like(
                      (i, j) -> Math.exp(0.7 * sizes[i / BLOCK][0]) * Weights.gaussian(random))
                  .scaledTo(STEP * base.rms());
            }));
    all.add(
        nothing(
            "inputs",
            "a random update of rank 8 whose columns have the sizes of random activations",
            (matrix, random) -> {
              Weights base = matrix.weights();
              double[][] right = Weights.gaussian(base.columns(), 8, random);
              for (double[] row : right) {
                double size = Math.exp(0.8 * Weights.gaussian(random));
                for (int k = 0; k < row.length; k++) {
                  row[k] *= size;
                }
              }
              return Weights.product(Weights.gaussian(base.rows(), 8, random), right)
                  .scaledTo(STEP * base.rms());
            }));
    all.add(
        nothing(
            "smooth",
            "noise that neighbouring entries share",
            (matrix, random) -> {
              Weights base = matrix.weights();
              double[][] noise =
                  Weights.gaussian(base.rows() + WINDOW, base.columns() + WINDOW, random);
              return base.like(
                      (i, j) -> {
                        double sum = 0;
                        for (int k = 0; k < WINDOW; k++) {
                          sum += noise[i + k][j] + noise[i][j + k];
                        }
                        return sum;
                      })
                  .scaledTo(STEP * base.rms());
            }));
    all.add(
        nothing(
            "replaced-rows",
            "a hundredth of the rows, at least one, is replaced",
            (matrix, random) -> {
              Weights base = matrix.weights();
              double size = base.rms();
              int first = random.nextInt(base.rows());
              int count = 1 + base.rows() / 100;
              return base.like(
                  (i, j) ->
                      (i - first + base.rows()) % base.rows() < count
                          ? size * Weights.gaussian(random) - base.at(i, j)
                          : 0);
            }));
    KnownUpdate gaussian = entries("", "", STEP, (entry, random) -> Weights.gaussian(random));
    for (Dtype dtype : List.of(Dtype.F32, Dtype.F16, Dtype.BF16)) {
      String name = dtype.name().toLowerCase(Locale.ROOT);
      all.add(
          new KnownUpdate(
              "f32-" + name + "-noise",
              "float32 and Gaussian noise, stored as " + name,
              Truth.NOTHING,
              Dtype.F32,
              dtype,
              gaussian.maker()));
    }
    all.add(
        new KnownUpdate(
            "f16-noise",
            "Gaussian noise on float16",
            Truth.NOTHING,
            Dtype.F16,
            Dtype.F16,
            gaussian.maker()));
    all.add(
        new KnownUpdate(
            "f32-decay-tiny",
            "weight decay of float32, and noise that float32 barely holds",
            Truth.NOTHING,
            Dtype.F32,
            Dtype.F32,
            decay("", "", STEP, 1e-5).maker()));
  }

  private static KnownUpdate scaling(
      String name, String description, double noise, boolean rows, boolean columns) {
    return nothing(
        name,
        description,
        (matrix, random) -> {
          Weights base = matrix.weights();
          double[] ofRows = factors(base.rows(), rows, random);
          double[] ofColumns = factors(base.columns(), columns, random);
          double size = noise * base.rms();
          return base.like(
              (i, j) ->
                  (ofRows[i] + ofColumns[j]) * base.at(i, j) + size * Weights.gaussian(random));
        });
  }

  private static double[] factors(int count, boolean present, SplittableRandom random) {
    double[] factors = new double[count];
    for (int i = 0; i < count && present; i++) {
      factors[i] = 5e-3 * Weights.gaussian(random);
    }
    return factors;
  }

  private static KnownUpdate decay(String name, String description, double rate, double noise) {
    return nothing(
        name,
        description,
        (matrix, random) -> {
          Weights base = matrix.weights();
          double size = noise * base.rms();
          return base.like((i, j) -> -rate * base.at(i, j) + size * Weights.gaussian(random));
        });
  }

  /** A change of dtype: the base has digits that the tuned dtype drops. */
  private static KnownUpdate stored(String name, String description, Dtype tuned) {
    return new KnownUpdate(
        name,
        description,
        Truth.NOTHING,
        Dtype.F32,
        tuned,
        (matrix, random) -> matrix.weights().like((i, j) -> 0));
  }

  private static void rescalings(List<KnownUpdate> all) {
    all.add(decay("decay", "weight decay", STEP, 0));
    all.add(decay("growth", "weights that grow", -STEP, 0));
    all.add(decay("decay-noise", "weight decay and Gaussian noise", STEP, STEP));
    all.add(scaling("row-scale", "rescaled rows", 0, true, false));
    all.add(scaling("column-scale", "rescaled columns", 0, false, true));
    all.add(scaling("both-scale", "rescaled rows and columns", 0, true, true));
    all.add(scaling("row-scale-noise", "rescaled rows and Gaussian noise", STEP, true, false));
    all.add(stored("f32-bf16", "float32 stored as bf16", Dtype.BF16));
    all.add(stored("f32-f16", "float32 stored as float16", Dtype.F16));
  }

  private static KnownUpdate planted(
      String name, String description, Map<String, Verdict> truth, Maker maker) {
    return new KnownUpdate(name, description, new Truth(truth), Dtype.BF16, Dtype.BF16, maker);
  }

  /** Gaussian noise of the usual size. */
  static Weights noise(Weights base, SplittableRandom random) {
    double size = STEP * base.rms();
    return base.like((i, j) -> size * Weights.gaussian(random));
  }

  /** The chance that an entry changes. */
  private interface Chance {
    double of(boolean principal);
  }

  private static Weights noise(Principal matrix, Chance chance, SplittableRandom random) {
    Weights base = matrix.weights();
    double size = STEP * base.rms();
    return base.like(
        (i, j) ->
            random.nextDouble() < chance.of(matrix.isPrincipal(i, j))
                ? size * Weights.gaussian(random)
                : 0);
  }

  private static void planted(List<KnownUpdate> all) {
    all.add(
        planted(
            "avoid-weights",
            "a fifth of the principal weights is left alone",
            Map.of("avoids-principal-weights", Verdict.SUPPORTED),
            (matrix, random) -> noise(matrix, own -> own ? 0.8 : 1, random)));
    all.add(
        planted(
            "prefer-weights",
            "half of the other weights is left alone",
            Map.of("avoids-principal-weights", Verdict.CONTRADICTED),
            (matrix, random) -> noise(matrix, own -> own ? 1 : 0.5, random)));
    all.add(
        planted(
            "avoid-directions",
            "half of the energy in the leading directions is removed",
            Map.of("avoids-principal-directions", Verdict.SUPPORTED),
            (matrix, random) -> matrix.withEnergy(noise(matrix.weights(), random), 0.5)));
    all.add(
        planted(
            "prefer-directions",
            "twice the energy in the leading directions",
            Map.of("avoids-principal-directions", Verdict.CONTRADICTED),
            (matrix, random) -> matrix.withEnergy(noise(matrix.weights(), random), 2)));
    all.add(
        planted(
            "rotation",
            "a rotation of the leading left directions by one degree",
            Map.of(
                "avoids-principal-directions",
                Verdict.SUPPORTED,
                "preserves-spectrum",
                Verdict.SUPPORTED),
            (matrix, random) -> matrix.rotation(Math.toRadians(1), random)));
  }
}
