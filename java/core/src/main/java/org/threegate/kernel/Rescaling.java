package org.threegate.kernel;

import org.threegate.buffer.NativeBuffer;
import org.threegate.spi.Structs;

/**
 * Splits an update into rescalings of the base and a rest, by least squares ({@code
 * tg_rescaling_fit}): tuned − base = c·W0 + diag(a)·W0 + W0·diag(b) + R. Weight decay is c, and
 * gains that were absorbed by a matrix are a and b.
 *
 * <pre>{@code
 * Operand before = Operand.of(Matrix.of(buffer, Dtype.BF16, 64, 64));
 * Operand after = Operand.of(Matrix.of(buffer, Dtype.BF16, 64, 64).at(8192));
 * Rescaling.Result result = Rescaling.fit(context, before, after);
 * System.out.println(result.terms().rows().squares() / result.squares().update());
 * }</pre>
 */
public final class Rescaling {
  private Rescaling() {}

  /**
   * When the fit ends.
   *
   * @param tolerance bound for {@link Convergence#imbalance}, above 0 and below 1; the relative
   *     error of all squares is about its square
   * @param mostSteps largest number of steps, at least 1
   */
  public record Options(double tolerance, long mostSteps) {
    /** A relative error of squares of about 1e-16. */
    public static final Options DEFAULT = new Options(1e-8, 500);
  }

  /**
   * Factors of W0.
   *
   * @param common c, the factor that all entries share
   * @param rows a, a factor for each row; the sum of a_i · |row i|² is 0
   * @param columns b, a factor for each column; the sum of b_j · |column j|² is 0
   */
  public record Factors(double common, double[] rows, double[] columns) {
    /** No rescaling. */
    public static final Factors NONE = new Factors(0, new double[0], new double[0]);

    /** Copies the arrays. */
    public Factors {
      rows = rows.clone();
      columns = columns.clone();
    }

    /** {@return a copy of the array} */
    @Override
    public double[] rows() {
      return rows.clone();
    }

    /** {@return a copy of the array} */
    @Override
    public double[] columns() {
      return columns.clone();
    }

    int rowCount() {
      return rows.length;
    }

    int columnCount() {
      return columns.length;
    }
  }

  /**
   * What one term explains.
   *
   * @param squares growth of |R|² without the term, when the other two are fitted again
   * @param noise expectation of {@code squares} if the term is absent and the entries of R have
   *     independent random signs
   * @param deviation standard deviation of {@code squares}, for the same random signs and the
   *     fitted term
   */
  public record Term(double squares, double noise, double deviation) {}

  /**
   * The three terms.
   *
   * @param common term of c; for noise of equal variance its squares are 1/(mn) of the whole on
   *     average
   * @param rows term of a; for such noise it is (m − 1)/(mn)
   * @param columns term of b; for such noise it is (n − 1)/(mn)
   */
  public record Terms(Term common, Term rows, Term columns) {}

  /**
   * Squared Frobenius norms.
   *
   * @param base |W0|²
   * @param update |tuned − base|²
   * @param residual |R|²
   */
  public record Squares(double base, double update, double residual) {}

  /**
   * The decomposition of an update.
   *
   * @param factors the fitted factors
   * @param commonError standard error of c, which allows entries of different variance
   * @param terms what each term explains
   * @param squares norms
   * @param entries number of entries that are finite on both sides, over which all sums run
   * @param convergence how the fit ended
   */
  public record Result(
      Factors factors,
      double commonError,
      Terms terms,
      Squares squares,
      long entries,
      Convergence convergence) {}

  /**
   * Fits the rescalings.
   *
   * @param context context that runs the kernel
   * @param base weights before the update
   * @param tuned weights after the update, of the same shape
   * @return the decomposition; see {@link Convergence#converged}
   */
  public static Result fit(Context context, Operand base, Operand tuned) {
    return fit(context, base, tuned, Options.DEFAULT);
  }

  /**
   * Fits the rescalings.
   *
   * @param context context that runs the kernel
   * @param base weights before the update
   * @param tuned weights after the update, of the same shape
   * @param options when the fit ends
   * @return the decomposition; see {@link Convergence#converged}
   */
  public static Result fit(Context context, Operand base, Operand tuned, Options options) {
    int rows = Sizes.length(base.rows());
    int columns = Sizes.length(base.columns());
    long tunedAt = base.structBytes();
    long optionsAt = tunedAt + tuned.structBytes();
    long resultAt = optionsAt + Structs.RESCALING_OPTIONS_SIZEOF;
    long workspaceAt = resultAt + Structs.RESCALING_SIZEOF;
    long rowsAt = workspaceAt + Workspace.STRUCT_BYTES;
    long columnsAt = rowsAt + 8L * rows;
    try (Context.Call call = context.begin();
        NativeBuffer structs = context.allocate(columnsAt + 8L * columns);
        Operand.Leases leases = Operand.Leases.onProcessor(context)) {
      long address = leases.take(structs);
      base.write(structs, address, 0, leases);
      tuned.write(structs, address, tunedAt, leases);
      structs
          .putLong(optionsAt + Structs.RESCALING_OPTIONS_SIZE, Structs.RESCALING_OPTIONS_SIZEOF)
          .putDouble(optionsAt + Structs.RESCALING_OPTIONS_TOLERANCE, options.tolerance())
          .putLong(optionsAt + Structs.RESCALING_OPTIONS_MOST_STEPS, options.mostSteps())
          .putLong(resultAt + Structs.RESCALING_SIZE, Structs.RESCALING_SIZEOF)
          .putLong(resultAt + Structs.RESCALING_ROW_FACTORS, address + rowsAt)
          .putLong(resultAt + Structs.RESCALING_COLUMN_FACTORS, address + columnsAt);
      Workspace.use(
          context,
          call,
          structs,
          workspaceAt,
          size ->
              context
                  .binding()
                  .rescalingFitWorkspace(
                      context.handle(), address, address + tunedAt, address + optionsAt, size),
          workspace ->
              context
                  .binding()
                  .rescalingFit(
                      context.handle(),
                      address,
                      address + tunedAt,
                      address + optionsAt,
                      workspace,
                      address + resultAt));
      return new Result(
          new Factors(
              structs.getDouble(resultAt + Structs.RESCALING_COMMON),
              structs.getDoubles(rowsAt, rows),
              structs.getDoubles(columnsAt, columns)),
          structs.getDouble(resultAt + Structs.RESCALING_COMMON_ERROR),
          new Terms(
              term(structs, resultAt + Structs.RESCALING_COMMON_TERM),
              term(structs, resultAt + Structs.RESCALING_ROW_TERM),
              term(structs, resultAt + Structs.RESCALING_COLUMN_TERM)),
          new Squares(
              structs.getDouble(resultAt + Structs.RESCALING_BASE_SQUARES),
              structs.getDouble(resultAt + Structs.RESCALING_UPDATE_SQUARES),
              structs.getDouble(resultAt + Structs.RESCALING_RESIDUAL_SQUARES)),
          structs.getLong(resultAt + Structs.RESCALING_ENTRIES),
          new Convergence(
              structs.getInt(resultAt + Structs.RESCALING_STATUS) == 0,
              structs.getDouble(resultAt + Structs.RESCALING_IMBALANCE),
              structs.getLong(resultAt + Structs.RESCALING_STEPS)));
    }
  }

  private static Term term(NativeBuffer structs, long at) {
    return new Term(
        structs.getDouble(at + Structs.RESCALING_TERM_SQUARES),
        structs.getDouble(at + Structs.RESCALING_TERM_NOISE),
        structs.getDouble(at + Structs.RESCALING_TERM_DEVIATION));
  }
}
