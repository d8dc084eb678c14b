package org.threegate.bench;

import java.util.Arrays;
import java.util.Locale;
import java.util.SplittableRandom;
import org.bytedeco.cuda.cublas.cublasContext;
import org.bytedeco.cuda.cusolver.cusolverDnContext;
import org.bytedeco.cuda.cusolver.cusolverDnParams;
import org.bytedeco.cuda.global.cublas;
import org.bytedeco.cuda.global.cudart;
import org.bytedeco.cuda.global.cusolver;
import org.bytedeco.javacpp.BytePointer;
import org.bytedeco.javacpp.FloatPointer;
import org.bytedeco.javacpp.IntPointer;
import org.bytedeco.javacpp.Pointer;
import org.bytedeco.javacpp.SizeTPointer;
import org.threegate.cuda.CudaPresets;
import org.threegate.dtype.Dtype;
import org.threegate.kernel.Capabilities;
import org.threegate.kernel.Context;
import org.threegate.kernel.Matrix;
import org.threegate.kernel.Operand;
import org.threegate.kernel.TruncatedSvd;

/**
 * Measures leading singular triplets on a CUDA device from Java: cuSOLVER through JavaCPP's
 * presets, and Threegate, on the same matrix in the same memory. The peer is the randomised SVD
 * (gesvdr) with as many iterations as reach the tolerance. Prints name, value and unit, separated
 * by tabs. Without a GPU it says so and ends with status 77.
 */
public final class DevicePeers {
  private static final int RANK = 64;
  private static final int OVERSAMPLING = 32;
  private static final int SPIKES = 8;
  private static final int MOST_ITERATIONS = 512;
  private static final int RUNS = 3;
  private static final int SKIPPED = 77;
  private static final double TOLERANCE = 1e-5;

  /** Device memory for the triplets of a column-major matrix. */
  private record Problem(
      int rows,
      int columns,
      FloatPointer matrix,
      FloatPointer work, // gesvdr overwrites its matrix
      FloatPointer left,
      FloatPointer values,
      FloatPointer right,
      FloatPointer image) {
    static Problem of(int rows, int columns, SplittableRandom random) {
      float[] entries = entries(rows, columns, random);
      FloatPointer matrix = allocate(entries.length);
      try (FloatPointer host = new FloatPointer(entries)) {
        copy(matrix, host, entries.length, cudart.cudaMemcpyHostToDevice);
      }
      return new Problem(
          rows,
          columns,
          matrix,
          allocate(entries.length),
          allocate((long) rows * RANK),
          allocate(RANK),
          allocate((long) columns * RANK),
          allocate((long) Math.max(rows, columns) * RANK));
    }

    private static float[] entries(int rows, int columns, SplittableRandom random) {
      float[] entries = new float[rows * columns];
      for (int i = 0; i < entries.length; i++) {
        entries[i] = (float) (0.02 * random.nextGaussian());
      }
      double edge = 0.02 * (Math.sqrt(rows) + Math.sqrt(columns));
      for (int spike = 1; spike <= SPIKES; spike++) {
        double[] left = random.doubles(rows).map(x -> x < 0.5 ? -1 : 1).toArray();
        double[] right = random.doubles(columns).map(x -> x < 0.5 ? -1 : 1).toArray();
        double size = spike * edge / Math.sqrt((double) rows * columns);
        for (int j = 0; j < columns; j++) {
          for (int i = 0; i < rows; i++) {
            entries[j * rows + i] += (float) (size * left[i] * right[j]);
          }
        }
      }
      return entries;
    }

    /** The entries row by row are those of the transpose, with the same singular values. */
    Operand operand(Context context) {
      long bytes = (long) rows * columns * Float.BYTES;
      return Operand.of(
          Matrix.of(CudaPresets.wrap(context, matrix, bytes), Dtype.F32, columns, rows));
    }
  }

  /** cuBLAS and cuSOLVER. */
  private static final class Peer {
    private final cublasContext blas = new cublasContext();
    private final cusolverDnContext solver = new cusolverDnContext();
    private final cusolverDnParams parameters = new cusolverDnParams();
    private final IntPointer info = new IntPointer(allocate(1));

    Peer() {
      check(cublas.cublasCreate_v2(blas), "cublasCreate");
      check(cusolver.cusolverDnCreate(solver), "cusolverDnCreate");
      check(cusolver.cusolverDnCreateParams(parameters), "cusolverDnCreateParams");
    }

    void gesvdr(Problem problem, long iterations) {
      int rows = problem.rows();
      int columns = problem.columns();
      int type = cudart.CUDA_R_32F;
      copy(
          problem.work(), problem.matrix(), (long) rows * columns, cudart.cudaMemcpyDeviceToDevice);
      try (SizeTPointer onDevice = new SizeTPointer(1);
          SizeTPointer onHost = new SizeTPointer(1)) {
        check(
            cusolver.cusolverDnXgesvdr_bufferSize(
                solver,
                parameters,
                (byte) 'S',
                (byte) 'S',
                rows,
                columns,
                RANK,
                OVERSAMPLING,
                iterations,
                type,
                problem.work(),
                rows,
                type,
                problem.values(),
                type,
                problem.left(),
                rows,
                type,
                problem.right(),
                columns,
                type,
                onDevice,
                onHost),
            "cusolverDnXgesvdr_bufferSize");
        FloatPointer device = allocate(onDevice.get() / Float.BYTES + 1);
        BytePointer host = new BytePointer(onHost.get() + 1);
        check(
            cusolver.cusolverDnXgesvdr(
                solver,
                parameters,
                (byte) 'S',
                (byte) 'S',
                rows,
                columns,
                RANK,
                OVERSAMPLING,
                iterations,
                type,
                problem.work(),
                rows,
                type,
                problem.values(),
                type,
                problem.left(),
                rows,
                type,
                problem.right(),
                columns,
                type,
                device,
                onDevice.get(),
                host,
                onHost.get(),
                info),
            "cusolverDnXgesvdr");
        check(cudart.cudaDeviceSynchronize(), "the end of cusolverDnXgesvdr");
        cudart.cudaFree(device);
        host.close();
      }
    }

    /** Returns the larger residual of both sides, relative to the largest singular value. */
    double residual(Problem problem) {
      float[] values = host(problem.values(), RANK);
      float[] left = host(problem.left(), problem.rows() * RANK);
      float[] right = host(problem.right(), problem.columns() * RANK);
      double ofLeft = distance(image(problem, cublas.CUBLAS_OP_N), left, values);
      double ofRight = distance(image(problem, cublas.CUBLAS_OP_T), right, values);
      return Math.max(ofLeft, ofRight) / values[0];
    }

    /** Returns A V, or the transpose of A times U. */
    private float[] image(Problem problem, int transposed) {
      boolean plain = transposed == cublas.CUBLAS_OP_N;
      int rows = plain ? problem.rows() : problem.columns();
      int inner = plain ? problem.columns() : problem.rows();
      try (FloatPointer one = new FloatPointer(1f);
          FloatPointer zero = new FloatPointer(0f)) {
        check(
            cublas.cublasSgemm_v2(
                blas,
                transposed,
                cublas.CUBLAS_OP_N,
                rows,
                RANK,
                inner,
                one,
                problem.matrix(),
                problem.rows(),
                plain ? problem.right() : problem.left(),
                inner,
                zero,
                problem.image(),
                rows),
            "cublasSgemm");
      }
      return host(problem.image(), rows * RANK);
    }

    private static double distance(float[] image, float[] vectors, float[] values) {
      int length = vectors.length / RANK;
      double largest = 0;
      for (int k = 0; k < RANK; k++) {
        double squares = 0;
        for (int i = k * length; i < (k + 1) * length; i++) {
          double difference = image[i] - (double) values[k] * vectors[i];
          squares += difference * difference;
        }
        largest = Math.max(largest, Math.sqrt(squares));
      }
      return largest;
    }
  }

  private DevicePeers() {}

  private static FloatPointer allocate(long floats) {
    FloatPointer memory = new FloatPointer();
    check(cudart.cudaMalloc(memory, floats * Float.BYTES), "device memory");
    return memory;
  }

  private static void copy(Pointer to, Pointer from, long floats, int direction) {
    check(cudart.cudaMemcpy(to, from, floats * Float.BYTES, direction), "a copy");
  }

  private static float[] host(FloatPointer from, int count) {
    float[] values = new float[count];
    try (FloatPointer host = new FloatPointer(count)) {
      copy(host, from, count, cudart.cudaMemcpyDeviceToHost);
      host.get(values);
    }
    return values;
  }

  private static void check(int status, String what) {
    if (status != 0) {
      throw new IllegalStateException(what + " failed with status " + status);
    }
  }

  /** Returns the median of several runs after a warm-up run. */
  private static double seconds(Runnable body) {
    body.run();
    double[] times = new double[RUNS];
    for (int i = 0; i < RUNS; i++) {
      long begin = System.nanoTime();
      body.run();
      times[i] = 1e-9 * (System.nanoTime() - begin);
    }
    Arrays.sort(times);
    return times[RUNS / 2];
  }

  private static void print(String name, double value, String unit) {
    System.out.printf(Locale.ROOT, "%s\t%.6g\t%s%n", name, value, unit);
  }

  private static void measure(Context context, Peer peer, Problem problem) {
    String shape = problem.rows() + " x " + problem.columns();
    for (long iterations = 2; iterations <= MOST_ITERATIONS; iterations *= 2) {
      peer.gesvdr(problem, iterations);
      if (peer.residual(problem) <= TOLERANCE) {
        long enough = iterations;
        print("peer iterations of gesvdr from Java, " + shape, enough, "");
        print("peer gesvdr from Java, " + shape, seconds(() -> peer.gesvdr(problem, enough)), "s");
        break;
      }
    }
    TruncatedSvd.Request request =
        TruncatedSvd.Request.of(problem.operand(context), RANK, TOLERANCE);
    print("svd from Java, " + shape, seconds(() -> TruncatedSvd.of(context, request).close()), "s");
  }

  private static void skip(String reason) {
    System.out.println("SKIPPED: peers of the device from Java: " + reason);
    System.exit(SKIPPED);
  }

  /** Measures the shapes of a model with 7 billion weights. */
  public static void main(String[] arguments) {
    Capabilities machine = Capabilities.query();
    if (machine.cudaDevices() == 0) {
      skip(machine.cudaReason());
    }
    try (Context context = Context.open(Context.Device.CUDA, 0)) {
      Peer peer = new Peer();
      SplittableRandom random = new SplittableRandom(1);
      for (int[] shape : new int[][] {{4096, 4096}, {11008, 4096}}) {
        measure(context, peer, Problem.of(shape[0], shape[1], random));
      }
    } catch (LinkageError e) {
      skip(e + "; build with -Dcuda.classifier=linux-x86_64");
    }
  }
}
