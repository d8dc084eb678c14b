package org.threegate.kernel;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import org.threegate.buffer.NativeBuffer;
import org.threegate.dtype.Dtype;
import org.threegate.spi.Constants;
import org.threegate.spi.KernelBinding;
import org.threegate.spi.Structs;

/**
 * Computes leading singular triplets of matrices of any shapes and dtypes ({@code tg_svd}). The
 * caller sets a tolerance for the residual, and the result certifies the residual that was reached.
 * Results do not depend on the number of threads or on the other matrices of a batch.
 *
 * <pre>{@code
 * Matrix weight = Matrix.of(buffer, Dtype.BF16, 1536, 8960);
 * TruncatedSvd.Request request = TruncatedSvd.Request.of(Operand.of(weight), 32, 1e-6);
 * try (TruncatedSvd.Result svd = TruncatedSvd.of(context, request)) {
 *   System.out.println(svd.values()[0] + ", certified to " + svd.residual());
 * }
 * }</pre>
 */
public final class TruncatedSvd {
  private TruncatedSvd() {}

  /**
   * A request to decompose a matrix.
   *
   * @param matrix matrix to decompose
   * @param subtracted matrix of the same shape to subtract while it is read, so that the difference
   *     is decomposed
   * @param rank number of leading triplets, from 1 to the shorter side
   * @param tolerance largest valid residual, orthogonality and spectrumError of the result
   * @param vectors whether singular vectors are computed; if not, {@code spectrum} must be true
   * @param spectrum whether all singular values are computed
   */
  public record Request(
      Operand matrix,
      Optional<Operand> subtracted,
      long rank,
      double tolerance,
      boolean vectors,
      boolean spectrum) {
    /**
     * {@return a request for leading values and vectors}
     *
     * @param matrix matrix to decompose
     * @param rank number of leading triplets, from 1 to the shorter side
     * @param tolerance largest valid residual
     */
    public static Request of(Operand matrix, long rank, double tolerance) {
      return new Request(matrix, Optional.empty(), rank, tolerance, true, false);
    }

    /**
     * {@return a request for all singular values without vectors}
     *
     * @param matrix matrix to decompose
     * @param tolerance largest valid residual
     */
    public static Request spectrum(Operand matrix, double tolerance) {
      return new Request(
          matrix,
          Optional.empty(),
          Math.min(matrix.rows(), matrix.columns()),
          tolerance,
          false,
          true);
    }

    /** {@return this request with all singular values beside the leading triplets} */
    public Request withSpectrum() {
      return new Request(matrix, subtracted, rank, tolerance, vectors, true);
    }

    /**
     * {@return this request for the difference of its matrix and another one}
     *
     * @param other matrix to subtract
     */
    public Request minus(Operand other) {
      return new Request(matrix, Optional.of(other), rank, tolerance, vectors, spectrum);
    }

    private long shorter() {
      return Math.min(matrix.rows(), matrix.columns());
    }

    private long arrayBytes() {
      return Sizes.product(
          8L,
          Sizes.sum(
              Sizes.sum(rank, spectrum ? shorter() : 0),
              vectors ? Sizes.product(rank, Sizes.sum(matrix.rows(), matrix.columns())) : 0));
    }
  }

  /** The algorithm that reached the tolerance. */
  public enum Method {
    /** The Gram matrix of the short side in float32. */
    GRAM_SINGLE(Constants.SVD_GRAM_SINGLE),
    /** The Gram matrix of the short side in float64. */
    GRAM_DOUBLE(Constants.SVD_GRAM_DOUBLE),
    /** The triangular factor of a QR decomposition, in float64. */
    TRIANGLE(Constants.SVD_TRIANGLE),
    /** Refinement of the singular vectors of a matrix nearby. */
    TRACKED(Constants.SVD_TRACKED),
    /** Block Lanczos, for few triplets of a large matrix, and beyond a short side of 16384. */
    BLOCK_LANCZOS(Constants.SVD_BLOCK_LANCZOS),
    /** Subspace iteration with Chebyshev filters in float32, on a CUDA device. */
    CHEBYSHEV(Constants.SVD_CHEBYSHEV);

    private final int code;

    Method(int code) {
      this.code = code;
    }

    private static Method of(int code) {
      return Arrays.stream(values())
          .filter(method -> method.code == code)
          .findFirst()
          .orElseThrow(() -> new IllegalStateException("no method has the code " + code));
    }
  }

  /**
   * The starting point of tracking: all singular values of a nearby matrix, and all singular
   * vectors of its short side. Those of a square matrix are the left ones.
   *
   * @param values descending
   * @param basis F64 or F32; row i is the vector of value i; the caller keeps the buffer open
   * @param base the nearby matrix with its other vectors, if only what differs is to be multiplied
   */
  public record Start(double[] values, Matrix basis, Optional<Base> base) {
    /** Checks the components. */
    public Start {
      if (values.length != basis.rows()) {
        throw new IllegalArgumentException(
            values.length + " singular values and " + basis.rows() + " vectors");
      }
      values = values.clone();
    }

    /**
     * Makes a starting point without the nearby matrix.
     *
     * @param values descending
     * @param basis F64 or F32; row i is the vector of value i; the caller keeps the buffer open
     */
    public Start(double[] values, Matrix basis) {
      this(values, basis, Optional.empty());
    }

    /** {@return a copy of the array} */
    @Override
    public double[] values() {
      return values.clone();
    }

    /**
     * {@return a starting point}
     *
     * @param whole a decomposition of full rank
     */
    public static Start of(Result whole) {
      return new Start(whole.values(), shortVectors(whole));
    }

    /**
     * {@return a starting point with the matrix that was decomposed} A later bf16 matrix of which
     * few entries differ is then decomposed in fewer passes over it, at tolerances from 1e-5 on.
     *
     * @param matrix plain bf16 matrix in host memory; the caller keeps its buffer open
     * @param whole its decomposition of full rank
     */
    public static Start of(Operand matrix, Result whole) {
      Matrix left = whole.leftVectors();
      Matrix basis = shortVectors(whole);
      Matrix images = basis == left ? whole.rightVectors() : left;
      Base base = new Base(matrix, images, whole.residual());
      return new Start(whole.values(), basis, Optional.of(base));
    }

    private static Matrix shortVectors(Result whole) {
      Matrix left = whole.leftVectors();
      Matrix right = whole.rightVectors();
      return left.columns() > right.columns() ? right : left;
    }
  }

  /**
   * The matrix that a starting point belongs to.
   *
   * @param matrix operand in host memory; the caller keeps its buffers open
   * @param images F64 or F32; row i is the singular vector of the long side of value i
   * @param residual certified residual of the triplets, relative to σ_1
   */
  public record Base(Operand matrix, Matrix images, double residual) {}

  /**
   * The triplets of one matrix. The result owns the memory of its vectors and must be closed.
   *
   * @param values leading singular values, descending
   * @param left left vectors, float64, rank x rows; row i is u_i
   * @param right right vectors, float64, rank x columns; row i is v_i
   * @param spectrum all singular values, descending
   * @param residual certificate: the largest |A v_i − σ_i u_i| and |Aᵀ u_i − σ_i v_i|, relative to
   *     σ_1
   * @param orthogonality largest entry of |U Uᵀ − 1| and |V Vᵀ − 1|
   * @param spectrumError estimated largest error of the spectrum, relative to σ_1
   * @param method algorithm that reached the tolerance
   * @param status OK, or NOT_CONVERGED if the tolerance was not reached
   */
  public record Result(
      double[] values,
      Optional<Matrix> left,
      Optional<Matrix> right,
      Optional<double[]> spectrum,
      double residual,
      double orthogonality,
      double spectrumError,
      Method method,
      Status status)
      implements AutoCloseable {
    /** Copies the arrays. */
    public Result {
      values = values.clone();
      spectrum = spectrum.map(double[]::clone);
    }

    /** {@return a copy of the array} */
    @Override
    public double[] values() {
      return values.clone();
    }

    /** {@return a copy of the array} */
    @Override
    public Optional<double[]> spectrum() {
      return spectrum.map(double[]::clone);
    }

    /** {@return the number of triplets} */
    public int rank() {
      return values.length;
    }

    /**
     * {@return the left vectors}
     *
     * @throws IllegalArgumentException if the request was without vectors
     */
    public Matrix leftVectors() {
      return left.orElseThrow(Result::withoutVectors);
    }

    /**
     * {@return the right vectors}
     *
     * @throws IllegalArgumentException if the request was without vectors
     */
    public Matrix rightVectors() {
      return right.orElseThrow(Result::withoutVectors);
    }

    private static IllegalArgumentException withoutVectors() {
      return new IllegalArgumentException(
          "the decomposition has no vectors; ask for them with Request.of");
    }

    /** {@return whether the tolerance was reached} */
    public boolean isConverged() {
      return status == Status.OK;
    }

    @Override
    public void close() {
      left.ifPresent(matrix -> matrix.buffer().close());
    }
  }

  /**
   * Decomposes one matrix.
   *
   * @param context context that runs the kernel
   * @param request what to decompose
   * @return the result, which the caller closes
   * @throws KernelException INVALID_ARGUMENT if an entry is not finite
   */
  public static Result of(Context context, Request request) {
    try (Control control = Control.open(context)) {
      return of(context, List.of(request), control).get(0);
    }
  }

  /**
   * Decomposes a matrix that is close to a decomposed one ({@code tg_svd_track}). For few triplets
   * this is several times as fast as a new decomposition. If the matrices are too far apart, it
   * decomposes from the beginning. With the nearby matrix in the start, fewer passes over the
   * matrix are needed if few entries differ.
   *
   * @param context context that runs the kernel
   * @param request a request for vectors, without a spectrum
   * @param start decomposition of the other matrix, which can serve many later ones
   * @param control cancels the call and reports its progress
   * @return the result, which the caller closes
   */
  public static Result track(Context context, Request request, Start start, Control control) {
    return of(context, List.of(request), List.of(start), control).get(0);
  }

  /**
   * Decomposes several matrices in parallel on the threads of the context.
   *
   * @param context context that runs the kernel
   * @param requests what to decompose; either only differences or only single matrices
   * @param control cancels the call and reports its progress
   * @return the result, which the caller closes
   * @throws KernelException CANCELLED if the control was cancelled; INVALID_ARGUMENT if an entry is
   *     not finite; IO if a mapped file was truncated
   */
  public static List<Result> of(Context context, List<Request> requests, Control control) {
    return of(context, requests, List.of(), control);
  }

  /**
   * {@return the memory that a decomposition needs beside its result, in bytes} The entries of the
   * matrix are not read.
   *
   * @param context context that would run the kernel
   * @param request what to decompose
   */
  public static long workspaceBytes(Context context, Request request) {
    long optionsAt = Structs.OPERAND_SIZEOF;
    long resultAt = optionsAt + Structs.SVD_OPTIONS_SIZEOF;
    long sizeAt = resultAt + Structs.SVD_RESULT_SIZEOF;
    long termsAt = sizeAt + Structs.WORKSPACE_SIZE_SIZEOF;
    try (Context.Call call = context.begin();
        NativeBuffer structs = context.allocate(termsAt + termBytes(request));
        Operand.Leases leases = new Operand.Leases(context)) {
      long address = leases.take(structs);
      request.matrix().write(structs, address, 0, termsAt, leases);
      writeOptions(structs, optionsAt, request);
      // A query writes no result, so that any address will do.
      writeResult(structs, resultAt, request, address);
      structs.putLong(sizeAt + Structs.WORKSPACE_SIZE_SIZE, Structs.WORKSPACE_SIZE_SIZEOF);
      call.check(
          context
              .binding()
              .svdWorkspace(
                  context.handle(),
                  address,
                  0,
                  1,
                  address + optionsAt,
                  address + resultAt,
                  address + sizeAt));
      return structs.getLong(sizeAt + Structs.WORKSPACE_SIZE_HOST_BYTES);
    }
  }

  private static List<Result> of(
      Context context, List<Request> given, List<Start> starts, Control control) {
    List<Request> requests = List.copyOf(given);
    List<NativeBuffer> arrays = new ArrayList<>();
    try {
      for (Request request : requests) {
        arrays.add(context.allocate(request.arrayBytes()));
      }
      List<Result> results = solve(context, requests, starts, arrays, control);
      for (int i = 0; i < arrays.size(); i++) {
        if (!requests.get(i).vectors()) {
          arrays.get(i).close();
        }
      }
      return results;
    } catch (RuntimeException | Error e) {
      arrays.forEach(NativeBuffer::close);
      throw e;
    }
  }

  /**
   * Solves a batch. A device may leave a matrix to the processor, which does not reach the memory
   * of the device. The batch is then solved again with the copies on the host, if there are any.
   */
  private static List<Result> solve(
      Context context,
      List<Request> requests,
      List<Start> starts,
      List<NativeBuffer> arrays,
      Control control) {
    try (Operand.Leases leases = new Operand.Leases(context)) {
      return solve(context, requests, starts, arrays, control, leases);
    } catch (KernelException e) {
      if (e.status() != Status.INVALID_ARGUMENT
          || requests.stream().noneMatch(TruncatedSvd::hasHostCopy)) {
        throw e;
      }
    }
    try (Operand.Leases leases = Operand.Leases.onProcessor(context)) {
      return solve(context, requests, starts, arrays, control, leases);
    }
  }

  private static boolean hasHostCopy(Request request) {
    return request.matrix().hasHostCopy()
        || request.subtracted().filter(Operand::hasHostCopy).isPresent();
  }

  private static List<Result> solve(
      Context context,
      List<Request> requests,
      List<Start> starts,
      List<NativeBuffer> arrays,
      Control control,
      Operand.Leases leases) {
    int count = requests.size();
    boolean differences = requests.stream().anyMatch(request -> request.subtracted().isPresent());
    if (differences && requests.stream().anyMatch(request -> request.subtracted().isEmpty())) {
      throw new IllegalArgumentException(
          "a batch must have either differences or single matrices, not both");
    }
    long subtractedAt = (long) count * Structs.OPERAND_SIZEOF;
    long optionsAt = subtractedAt + (differences ? (long) count * Structs.OPERAND_SIZEOF : 0);
    long resultsAt = optionsAt + (long) count * Structs.SVD_OPTIONS_SIZEOF;
    long workspaceAt = resultsAt + (long) count * Structs.SVD_RESULT_SIZEOF;
    long termsAt = workspaceAt + Workspace.STRUCT_BYTES;
    long startsAt = termsAt + requests.stream().mapToLong(TruncatedSvd::termBytes).sum();
    long startValuesAt = startsAt + (long) starts.size() * Structs.SVD_START_SIZEOF;
    long basesAt =
        startValuesAt + starts.stream().mapToLong(start -> 8L * start.values().length).sum();
    long baseTermsAt = basesAt + (long) starts.size() * Structs.OPERAND_SIZEOF;
    long bytes =
        baseTermsAt
            + starts.stream()
                .flatMap(start -> start.base().stream())
                .mapToLong(base -> base.matrix().termBytes())
                .sum();
    KernelBinding binding = context.binding();
    try (Context.Call call = control.begin(context)) {
      NativeBuffer structs = leases.allocate(context, bytes);
      long address = leases.take(structs);
      for (int i = 0; i < count; i++) {
        Request request = requests.get(i);
        request
            .matrix()
            .write(structs, address, (long) i * Structs.OPERAND_SIZEOF, termsAt, leases);
        termsAt += request.matrix().termBytes();
        if (differences) {
          Operand other = request.subtracted().orElseThrow();
          other.write(
              structs, address, subtractedAt + (long) i * Structs.OPERAND_SIZEOF, termsAt, leases);
          termsAt += other.termBytes();
        }
        writeOptions(structs, optionsAt + (long) i * Structs.SVD_OPTIONS_SIZEOF, request);
        writeResult(
            structs,
            resultsAt + (long) i * Structs.SVD_RESULT_SIZEOF,
            request,
            leases.takeOutput(arrays.get(i)));
      }
      long valuesAt = startValuesAt;
      for (int i = 0; i < starts.size(); i++) {
        Start from = starts.get(i);
        long at = startsAt + (long) i * Structs.SVD_START_SIZEOF;
        structs.putDoubles(valuesAt, from.values());
        structs
            .putLong(at + Structs.SVD_START_SIZE, Structs.SVD_START_SIZEOF)
            .putLong(at + Structs.SVD_START_VALUES, address + valuesAt);
        from.basis()
            .write(structs, at + Structs.SVD_START_BASIS, leases.take(from.basis().buffer()));
        valuesAt += 8L * from.values().length;
        if (from.base().isPresent()) {
          Base base = from.base().orElseThrow();
          long baseAt = basesAt + (long) i * Structs.OPERAND_SIZEOF;
          base.matrix().write(structs, address, baseAt, baseTermsAt, leases);
          baseTermsAt += base.matrix().termBytes();
          base.images()
              .write(structs, at + Structs.SVD_START_IMAGES, leases.take(base.images().buffer()));
          structs
              .putLong(at + Structs.SVD_START_BASE, address + baseAt)
              .putDouble(at + Structs.SVD_START_RESIDUAL, base.residual());
        } else {
          structs.putLong(at + Structs.SVD_START_BASE, 0);
        }
      }
      long subtracted = differences ? address + subtractedAt : 0;
      long start = starts.isEmpty() ? 0 : address + startsAt;
      try {
        Workspace.use(
            context,
            call,
            structs,
            workspaceAt,
            size ->
                start == 0
                    ? binding.svdWorkspace(
                        context.handle(),
                        address,
                        subtracted,
                        count,
                        address + optionsAt,
                        address + resultsAt,
                        size)
                    : binding.svdTrackWorkspace(
                        context.handle(),
                        address,
                        subtracted,
                        count,
                        address + optionsAt,
                        start,
                        address + resultsAt,
                        size),
            workspace ->
                start == 0
                    ? binding.svd(
                        context.handle(),
                        address,
                        subtracted,
                        count,
                        address + optionsAt,
                        call.control(),
                        workspace,
                        address + resultsAt)
                    : binding.svdTrack(
                        context.handle(),
                        address,
                        subtracted,
                        count,
                        address + optionsAt,
                        start,
                        call.control(),
                        workspace,
                        address + resultsAt));
      } catch (KernelException e) {
        if (e.status() != Status.NOT_CONVERGED) {
          throw e;
        }
        // Each result has its own status.
      }
      List<Result> results = new ArrayList<>();
      for (int i = 0; i < count; i++) {
        results.add(
            readResult(
                structs,
                resultsAt + (long) i * Structs.SVD_RESULT_SIZEOF,
                requests.get(i),
                arrays.get(i)));
      }
      return results;
    }
  }

  private static long termBytes(Request request) {
    return request.matrix().termBytes() + request.subtracted().map(Operand::termBytes).orElse(0L);
  }

  private static void writeOptions(NativeBuffer structs, long at, Request request) {
    structs
        .putLong(at + Structs.SVD_OPTIONS_SIZE, Structs.SVD_OPTIONS_SIZEOF)
        .putLong(at + Structs.SVD_OPTIONS_RANK, request.rank())
        .putDouble(at + Structs.SVD_OPTIONS_TOLERANCE, request.tolerance())
        .putInt(at + Structs.SVD_OPTIONS_VECTORS, request.vectors() ? 1 : 0)
        .putInt(at + Structs.SVD_OPTIONS_RESERVED, 0);
  }

  /** Writes a result struct. Values, left vectors, right vectors and spectrum share one array. */
  private static void writeResult(NativeBuffer structs, long at, Request request, long address) {
    long left = address + 8 * request.rank();
    long right = left + 8 * request.rank() * request.matrix().rows();
    long behind =
        request.vectors() ? right + 8 * request.rank() * request.matrix().columns() : left;
    structs
        .putLong(at + Structs.SVD_RESULT_SIZE, Structs.SVD_RESULT_SIZEOF)
        .putLong(at + Structs.SVD_RESULT_VALUES, address)
        .putLong(at + Structs.SVD_RESULT_LEFT, request.vectors() ? left : 0)
        .putLong(at + Structs.SVD_RESULT_RIGHT, request.vectors() ? right : 0)
        .putLong(at + Structs.SVD_RESULT_SPECTRUM, request.spectrum() ? behind : 0);
  }

  private static Result readResult(
      NativeBuffer structs, long at, Request request, NativeBuffer array) {
    long rank = request.rank();
    long rows = request.matrix().rows();
    long columns = request.matrix().columns();
    long left = 8 * rank;
    long right = left + 8 * rank * rows;
    long behind = request.vectors() ? right + 8 * rank * columns : left;
    return new Result(
        array.getDoubles(0, rank),
        request.vectors()
            ? Optional.of(Matrix.of(array, Dtype.F64, rank, rows).at(left))
            : Optional.empty(),
        request.vectors()
            ? Optional.of(Matrix.of(array, Dtype.F64, rank, columns).at(right))
            : Optional.empty(),
        request.spectrum()
            ? Optional.of(array.getDoubles(behind, request.shorter()))
            : Optional.empty(),
        structs.getDouble(at + Structs.SVD_RESULT_RESIDUAL),
        structs.getDouble(at + Structs.SVD_RESULT_ORTHOGONALITY),
        structs.getDouble(at + Structs.SVD_RESULT_SPECTRUM_ERROR),
        Method.of(structs.getInt(at + Structs.SVD_RESULT_METHOD)),
        Status.of(structs.getInt(at + Structs.SVD_RESULT_STATUS)));
  }
}
