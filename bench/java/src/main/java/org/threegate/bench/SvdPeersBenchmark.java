package org.threegate.bench;

import com.sun.management.OperatingSystemMXBean;
import java.io.IOException;
import java.lang.management.ManagementFactory;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Collection;
import java.util.Comparator;
import java.util.Locale;
import java.util.concurrent.TimeUnit;
import java.util.stream.IntStream;
import org.ejml.data.DMatrixRMaj;
import org.ejml.dense.row.CommonOps_DDRM;
import org.ejml.dense.row.factory.DecompositionFactory_DDRM;
import org.ojalgo.matrix.decomposition.Eigenvalue;
import org.ojalgo.matrix.store.MatrixStore;
import org.ojalgo.matrix.store.R064Store;
import org.ojalgo.matrix.store.RawStore;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Measurement;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.TearDown;
import org.openjdk.jmh.annotations.Warmup;
import org.openjdk.jmh.results.RunResult;
import org.openjdk.jmh.runner.Runner;
import org.openjdk.jmh.runner.RunnerException;
import org.openjdk.jmh.runner.options.OptionsBuilder;
import org.openjdk.jmh.runner.options.VerboseMode;

/**
 * Leading singular triplets in the fastest formulations that Smile, EJML and ojAlgo offer, on the
 * matrices of {@code threegate_bench_svd}. One thread, one processor, processor seconds. {@link
 * #main} prints what {@code svd_peers.py} prints, for {@code ci/bench-svd}.
 *
 * <p>All of them but ARPACK find every triplet, so the time of one rank stands for lower ones.
 */
@State(Scope.Benchmark)
@BenchmarkMode(Mode.SingleShotTime)
@OutputTimeUnit(TimeUnit.SECONDS)
@Warmup(iterations = 1)
@Measurement(iterations = 1)
public class SvdPeersBenchmark {
  private static final int[] RANKS = {32, 128, 512};
  private static final double[] TOLERANCES = {1e-4, 1e-6};
  private static final int CHECKED = 16; // triplets, evenly spaced

  /** Row i of {@code left} and {@code right} belongs to value i. The values descend. */
  record Triplets(double[] values, double[][] left, double[][] right) {}

  /** An entry of a vector. */
  interface Entry {
    double of(int vector, int index);
  }

  /** A matrix, of at most as many rows as columns. */
  record Entries(int rows, int columns, float[] entries) {
    double[] wide() {
      double[] wide = new double[entries.length];
      Arrays.setAll(wide, i -> entries[i]);
      return wide;
    }

    /** Completes the triplets from vectors of the rows and their images. */
    Triplets complete(double[][] left, Entry image) {
      double[][] right = new double[left.length][columns];
      double[] values = new double[left.length];
      for (int k = 0; k < left.length; k++) {
        double[] own = right[k];
        int vector = k;
        Arrays.setAll(own, j -> image.of(vector, j));
        double length = Math.sqrt(Arrays.stream(own).map(x -> x * x).sum());
        values[k] = length;
        Arrays.setAll(own, j -> own[j] / length);
      }
      return new Triplets(values, left, right);
    }

    /** The largest residual of some triplets, relative to the largest value. */
    double residual(Triplets triplets) {
      int count = triplets.values().length;
      return IntStream.range(0, CHECKED)
              .map(i -> (int) ((long) i * (count - 1) / (CHECKED - 1)))
              .mapToDouble(
                  k -> {
                    double[] back = new double[columns];
                    double forward = 0;
                    for (int i = 0; i < rows; i++) {
                      double sum = 0;
                      for (int j = 0; j < columns; j++) {
                        double entry = entries[i * columns + j];
                        sum += entry * triplets.right()[k][j];
                        back[j] += entry * triplets.left()[k][i];
                      }
                      forward += Math.pow(sum - triplets.values()[k] * triplets.left()[k][i], 2);
                    }
                    double backward = 0;
                    for (int j = 0; j < columns; j++) {
                      backward +=
                          Math.pow(back[j] - triplets.values()[k] * triplets.right()[k][j], 2);
                    }
                    return Math.sqrt(Math.max(forward, backward));
                  })
              .max()
              .orElseThrow()
          / triplets.values()[0];
    }
  }

  /** A formulation of one library. */
  public enum Formulation {
    SMILE_GRAM("Smile, gram float32", new int[] {32, 512}) {
      @Override
      Triplets solve(Entries matrix, int rank) {
        // Column-major, the entries are those of the transpose.
        var transposed = transpose(matrix);
        var eigen = transposed.ata().eigen(false, true, true);
        double[][] left =
            largest(eigen.wr.length, rank, i -> eigen.wr[i], (i, j) -> eigen.Vr.get(j, i));
        var vectors = new smile.math.matrix.fp32.Matrix(matrix.rows(), rank);
        for (int k = 0; k < rank; k++) {
          for (int i = 0; i < matrix.rows(); i++) {
            vectors.set(i, k, (float) left[k][i]);
          }
        }
        var images = transposed.mm(vectors);
        return matrix.complete(left, (k, j) -> images.get(j, k));
      }
    },
    SMILE_SVD("Smile, SVD float32", new int[] {512}) {
      @Override
      Triplets solve(Entries matrix, int rank) {
        var found = transpose(matrix).svd(true, false);
        return triplets(matrix, rank, found);
      }
    },
    SMILE_ARPACK("Smile, ARPACK", new int[] {32, 128}) {
      @Override
      Triplets solve(Entries matrix, int rank) {
        return triplets(matrix, rank, smile.math.matrix.fp32.ARPACK.svd(transpose(matrix), rank));
      }
    },
    EJML_GRAM("EJML, gram float64", new int[] {32, 512}) {
      @Override
      Triplets solve(Entries matrix, int rank) {
        DMatrixRMaj wide = DMatrixRMaj.wrap(matrix.rows(), matrix.columns(), matrix.wide());
        DMatrixRMaj gram = new DMatrixRMaj(matrix.rows(), matrix.rows());
        CommonOps_DDRM.multOuter(wide, gram);
        var eigen = DecompositionFactory_DDRM.eig(matrix.rows(), true, true);
        if (!eigen.decompose(gram)) {
          throw new IllegalStateException("EJML found no eigenvalues");
        }
        double[][] left =
            largest(
                matrix.rows(),
                rank,
                i -> eigen.getEigenvalue(i).getReal(),
                (i, j) -> eigen.getEigenVector(i).get(j));
        DMatrixRMaj images = new DMatrixRMaj(rank, matrix.columns());
        CommonOps_DDRM.mult(new DMatrixRMaj(left), wide, images);
        return matrix.complete(left, images::get);
      }
    },
    OJALGO_GRAM("ojAlgo, gram float64", new int[] {32, 512}) {
      @Override
      Triplets solve(Entries matrix, int rank) {
        R064Store transposed = R064Store.wrap(matrix.wide(), matrix.columns());
        MatrixStore<Double> gram = transposed.transpose().multiply(transposed);
        Eigenvalue<Double> eigen = Eigenvalue.R064.make(matrix.rows(), true);
        if (!eigen.decompose(gram)) {
          throw new IllegalStateException("ojAlgo found no eigenvalues");
        }
        MatrixStore<Double> vectors = eigen.getV();
        MatrixStore<Double> values = eigen.getD();
        double[][] left =
            largest(
                matrix.rows(),
                rank,
                i -> values.doubleValue(i, i),
                (i, j) -> vectors.doubleValue(j, i));
        MatrixStore<Double> images = transposed.multiply(RawStore.wrap(left).transpose());
        return matrix.complete(left, (k, j) -> images.doubleValue(j, k));
      }
    };

    final String title;
    final int[] ranks; // measured ones

    Formulation(String title, int[] ranks) {
      this.title = title;
      this.ranks = ranks;
    }

    abstract Triplets solve(Entries matrix, int rank);

    private static smile.math.matrix.fp32.Matrix transpose(Entries matrix) {
      return new smile.math.matrix.fp32.Matrix(
          matrix.columns(), matrix.rows(), matrix.columns(), matrix.entries().clone());
    }

    /** The left vectors of the transpose are the right ones of the matrix. */
    private static Triplets triplets(
        Entries matrix, int rank, smile.math.matrix.fp32.Matrix.SVD found) {
      double[] values = new double[rank];
      double[][] left = new double[rank][matrix.rows()];
      double[][] right = new double[rank][matrix.columns()];
      for (int k = 0; k < rank; k++) {
        int index = k;
        values[k] = found.s[k];
        Arrays.setAll(left[k], i -> found.V.get(i, index));
        Arrays.setAll(right[k], i -> found.U.get(i, index));
      }
      return new Triplets(values, left, right);
    }

    private interface Value {
      double of(int index);
    }

    /** The vectors of the largest values, the first one first. */
    private static double[][] largest(int count, int rank, Value value, Entry entry) {
      int[] order =
          IntStream.range(0, count)
              .boxed()
              .sorted(Comparator.comparingDouble(i -> -value.of(i)))
              .limit(rank)
              .mapToInt(i -> i)
              .toArray();
      double[][] vectors = new double[rank][count];
      for (int k = 0; k < rank; k++) {
        int from = order[k];
        Arrays.setAll(vectors[k], j -> entry.of(from, j));
      }
      return vectors;
    }
  }

  @Param("")
  String directory;

  @Param("1536x1536")
  String shape;

  @Param("SMILE_GRAM")
  Formulation formulation;

  @Param("32")
  int rank;

  private Entries matrix;
  private Triplets found;
  private double processorSeconds; // does not contain the work of other programs

  @Setup
  public void read() throws IOException {
    String[] sides = shape.split("x");
    int rows = Integer.parseInt(sides[0]);
    int columns = Integer.parseInt(sides[1]);
    float[] entries = new float[rows * columns];
    ByteBuffer.wrap(Files.readAllBytes(Path.of(directory, shape + ".f32")))
        .order(ByteOrder.LITTLE_ENDIAN)
        .asFloatBuffer()
        .get(entries);
    matrix = new Entries(rows, columns, entries);
  }

  @Benchmark
  public double solve() {
    long begin = processorTime();
    found = formulation.solve(matrix, rank);
    processorSeconds = 1e-9 * (processorTime() - begin);
    return found.values()[0];
  }

  private static long processorTime() {
    return ManagementFactory.getPlatformMXBean(OperatingSystemMXBean.class).getProcessCpuTime();
  }

  @TearDown
  public void check() throws IOException {
    Files.writeString(
        Path.of(directory, "measured"), processorSeconds + " " + matrix.residual(found));
  }

  /** Measures all formulations on the matrices of the directory. */
  public static void main(String[] arguments) throws IOException, RunnerException {
    for (String shape : new String[] {"1536x1536", "1536x8960"}) {
      for (Formulation formulation : Formulation.values()) {
        if (formulation == Formulation.SMILE_ARPACK && !shape.equals("1536x1536")) {
          continue; // takes minutes
        }
        int covered = 0;
        for (int rank : formulation.ranks) {
          int above = covered;
          int[] ranks = Arrays.stream(RANKS).filter(k -> k > above && k <= rank).toArray();
          measure(arguments[0], shape, formulation, ranks);
          covered = rank;
        }
      }
    }
  }

  /**
   * Measures the largest of the ranks, which is no faster than the others, and prints it for all.
   */
  private static void measure(String directory, String shape, Formulation formulation, int[] ranks)
      throws IOException, RunnerException {
    Collection<RunResult> results =
        new Runner(
                new OptionsBuilder()
                    .include(SvdPeersBenchmark.class.getName())
                    .param("directory", directory)
                    .param("shape", shape)
                    .param("formulation", formulation.name())
                    .param("rank", Integer.toString(ranks[ranks.length - 1]))
                    .forks(1)
                    .jvmArgs(
                        "-Xmx8g",
                        "-XX:ActiveProcessorCount=1",
                        "-Dorg.bytedeco.javacpp.maxphysicalbytes=0")
                    .verbosity(VerboseMode.SILENT)
                    .shouldFailOnError(false)
                    .build())
            .run();
    if (results.isEmpty()) {
      System.err.printf("%s failed on %s%n", formulation.title, shape);
      return;
    }
    String[] measured = Files.readString(Path.of(directory, "measured")).split(" ");
    double seconds = Double.parseDouble(measured[0]);
    double residual = Double.parseDouble(measured[1]);
    for (int rank : ranks) {
      for (double tolerance : TOLERANCES) {
        System.out.printf(
            Locale.ROOT,
            "%s\t%d\t%s\t%s\t%.4f\t%.1e%n",
            shape.replace('x', '\t'),
            rank,
            tolerance == 1e-4 ? "0.0001" : "1e-06",
            formulation.title,
            seconds,
            residual);
      }
    }
  }
}
