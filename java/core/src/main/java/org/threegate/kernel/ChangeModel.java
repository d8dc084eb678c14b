package org.threegate.kernel;

import java.util.ArrayList;
import java.util.List;
import org.threegate.buffer.NativeBuffer;
import org.threegate.spi.Structs;

/**
 * A logistic model of changed entries ({@code tg_change_fit}). The log odds of a change are r_i +
 * c_j + g_b for row i, column j and bin b of the entry's magnitude. It is the null model of "the
 * changes avoid these entries": rows, columns and magnitudes alone decide.
 *
 * <pre>{@code
 * Operand weight = Operand.of(Matrix.of(buffer, Dtype.BF16, 64, 64));
 * Mask changed = MaskSelection.smallest(context, weight, 1024, control);
 * Mask principal = MaskSelection.largest(context, weight, 1024, control);
 * ChangeModel model = new ChangeModel(weight, changed, new int[MagnitudeHistogram.CODES]);
 * ChangeModel.Fit fit = model.fit(context);
 * for (ChangeModel.Score score : model.score(context, fit, List.of(principal))) {
 *   System.out.println("z = " + score.z() + ", log odds ratio " + score.logOdds());
 * }
 * }</pre>
 *
 * @param base matrix whose magnitudes count
 * @param changed set of changed entries, of the same shape
 * @param bins bin of each of the 32768 bf16 magnitude codes, from 0; empty if there are ends
 * @param ends exclusive ends of ranges of codes that are the bins, ascending to 32768; empty if
 *     there is a bin for each code
 */
public record ChangeModel(Operand base, Mask changed, int[] bins, int[] ends) {
  /** When {@link #fit(Context)} ends. */
  private static final Options DEFAULT = new Options(1e-4, 100);

  /**
   * When the fit ends.
   *
   * @param tolerance bound for {@link Convergence#imbalance}, in standard deviations of the number
   *     of changes of a row, column or bin; above 0 and below 1
   * @param mostSteps largest number of Newton's steps, at least 1
   */
  public record Options(double tolerance, long mostSteps) {}

  /**
   * Checks the shapes and copies the arrays.
   *
   * @throws IllegalArgumentException if the mask has another shape, or there is neither one bin for
   *     each code nor an end
   */
  public ChangeModel {
    MagnitudeHistogram.requireShape(base, changed);
    if (ends.length == 0 ? bins.length != MagnitudeHistogram.CODES : bins.length != 0) {
      throw new IllegalArgumentException(
          bins.length + " bins for " + MagnitudeHistogram.CODES + " codes");
    }
    bins = bins.clone();
    ends = ends.clone();
  }

  /**
   * Creates a model with a bin for each code.
   *
   * @param base matrix whose magnitudes count
   * @param changed set of changed entries, of the same shape
   * @param bins bin of each of the 32768 bf16 magnitude codes, from 0
   */
  public ChangeModel(Operand base, Mask changed, int[] bins) {
    this(base, changed, bins, new int[0]);
  }

  /**
   * {@return a model whose bins are ranges of codes} For a small matrix they are much less than a
   * bin for each code.
   *
   * @param base matrix whose magnitudes count
   * @param changed set of changed entries, of the same shape
   * @param ends exclusive ends of the ranges, ascending; the last is {@link
   *     MagnitudeHistogram#CODES}
   */
  public static ChangeModel ofRanges(Operand base, Mask changed, int[] ends) {
    return new ChangeModel(base, changed, new int[0], ends);
  }

  /** {@return a copy of the bin of each code} */
  @Override
  public int[] bins() {
    return bins.clone();
  }

  /** {@return a copy of the ends of the ranges} */
  @Override
  public int[] ends() {
    return ends.clone();
  }

  private int binCount() {
    int count = Math.max(1, ends.length);
    for (int bin : bins) {
      count = Math.max(count, bin + 1);
    }
    return count;
  }

  /**
   * The fitted log odds. Those of rows, columns and bins in which no or every entry changed are
   * minus or plus infinity. They carry no information.
   *
   * @param rows r, one for each row
   * @param columns c, one for each column
   * @param bins g, one for each bin
   * @param freeEntries number of entries that carry information
   * @param convergence how the fit ended; the imbalance is the largest difference between a fitted
   *     and an observed number of changes, in standard deviations
   */
  public record Fit(
      double[] rows, double[] columns, double[] bins, long freeEntries, Convergence convergence) {
    /** Copies the arrays. */
    public Fit {
      rows = rows.clone();
      columns = columns.clone();
      bins = bins.clone();
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

    /** {@return a copy of the array} */
    @Override
    public double[] bins() {
      return bins.clone();
    }
  }

  /**
   * The score test of a set A as one more covariate, where Â is its weighted projection on rows,
   * columns and bins.
   *
   * @param score s = Σ (A − Â)(M − π)
   * @param information I, the variance of s
   * @param counts numbers of entries of the set
   * @param explained share of the set's weight that rows, columns and bins explain, 0 to 1
   * @param convergence how the projection ended
   */
  public record Score(
      double score, double information, Counts counts, double explained, Convergence convergence) {
    /** {@return s/√I, about standard normal if the set makes no difference; 0 if I is 0} */
    public double z() {
      return information > 0 ? score / Math.sqrt(information) : 0;
    }

    /** {@return the log odds ratio to first order, s/I; NaN if I is 0} */
    public double logOdds() {
      return information > 0 ? score / information : Double.NaN;
    }

    /** {@return the standard error of the log odds ratio; infinite if I is 0} */
    public double logOddsError() {
      return 1 / Math.sqrt(information);
    }
  }

  /**
   * Numbers of entries of a set that carry information.
   *
   * @param entries entries of the set
   * @param observed those that changed
   * @param expected expectation of {@code observed}
   */
  public record Counts(long entries, long observed, double expected) {}

  /**
   * Fits the model by maximum likelihood.
   *
   * @param context context that runs the kernel
   * @return the fit; see {@link Convergence#converged}
   */
  public Fit fit(Context context) {
    return fit(context, DEFAULT);
  }

  /**
   * Fits the model by maximum likelihood.
   *
   * @param context context that runs the kernel
   * @param options when the fit ends
   * @return the fit; see {@link Convergence#converged}
   */
  public Fit fit(Context context, Options options) {
    Layout at = new Layout(this, 0);
    try (Context.Call call = context.begin();
        NativeBuffer structs = context.allocate(at.bytes());
        NativeBuffer words = changed.copyTo(context);
        Operand.Leases leases = Operand.Leases.onProcessor(context)) {
      long address = leases.take(structs);
      at.write(structs, address, leases.take(words), leases);
      structs
          .putLong(at.optionsAt() + Structs.CHANGE_OPTIONS_SIZE, Structs.CHANGE_OPTIONS_SIZEOF)
          .putDouble(at.optionsAt() + Structs.CHANGE_OPTIONS_TOLERANCE, options.tolerance())
          .putLong(at.optionsAt() + Structs.CHANGE_OPTIONS_MOST_STEPS, options.mostSteps());
      Workspace.use(
          context,
          call,
          structs,
          at.workspaceAt(),
          size -> context.binding().changeWorkspace(context.handle(), address, size),
          workspace ->
              context
                  .binding()
                  .changeFit(
                      context.handle(),
                      address,
                      address + at.optionsAt(),
                      workspace,
                      address + at.logitsAt()));
      return new Fit(
          structs.getDoubles(at.rowsAt(), base.rows()),
          structs.getDoubles(at.columnsAt(), base.columns()),
          structs.getDoubles(at.binsAt(), at.binCount()),
          structs.getLong(at.logitsAt() + Structs.CHANGE_LOGITS_FREE_ENTRIES),
          new Convergence(
              structs.getInt(at.logitsAt() + Structs.CHANGE_LOGITS_STATUS) == 0,
              structs.getDouble(at.logitsAt() + Structs.CHANGE_LOGITS_IMBALANCE),
              structs.getLong(at.logitsAt() + Structs.CHANGE_LOGITS_STEPS)));
    }
  }

  /**
   * Tests whether the entries of sets change more or less often than the model says (Rao's score
   * test).
   *
   * @param context context that runs the kernel
   * @param fit a fit of this model that converged
   * @param sets sets of entries of the shape of the matrix, at least one
   * @return the test of each set
   * @throws IllegalArgumentException if the fit did not converge or is of another model
   */
  public List<Score> score(Context context, Fit fit, List<Mask> sets) {
    if (!fit.convergence().converged()) {
      throw new IllegalArgumentException("the fit of the model did not converge");
    }
    sets.forEach(set -> MagnitudeHistogram.requireShape(base, set));
    Layout at = new Layout(this, sets.size());
    if (fit.rows.length != base.rows()
        || fit.columns.length != base.columns()
        || fit.bins.length != at.binCount()) {
      throw new IllegalArgumentException("the fit is of another model");
    }
    long words = 8L * changed.wordCount();
    try (Context.Call call = context.begin();
        NativeBuffer structs = context.allocate(at.bytes());
        NativeBuffer masks = context.allocate(Sizes.product(words, sets.size() + 1L));
        Operand.Leases leases = Operand.Leases.onProcessor(context)) {
      long address = leases.take(structs);
      long masksAt = leases.take(masks);
      changed.writeTo(masks, 0);
      for (int i = 0; i < sets.size(); i++) {
        sets.get(i).writeTo(masks, words * (i + 1));
        structs.putLong(at.setsAt() + 8L * i, masksAt + words * (i + 1));
      }
      at.write(structs, address, masksAt, leases);
      structs
          .putDoubles(at.rowsAt(), fit.rows)
          .putDoubles(at.columnsAt(), fit.columns)
          .putDoubles(at.binsAt(), fit.bins);
      Workspace.use(
          context,
          call,
          structs,
          at.workspaceAt(),
          size -> context.binding().changeWorkspace(context.handle(), address, size),
          workspace ->
              context
                  .binding()
                  .changeScore(
                      context.handle(),
                      address,
                      address + at.logitsAt(),
                      address + at.setsAt(),
                      sets.size(),
                      workspace,
                      address + at.scoresAt()));
      List<Score> scores = new ArrayList<>();
      for (int i = 0; i < sets.size(); i++) {
        scores.add(
            readScore(structs, at.scoresAt() + (long) Structs.CHANGE_SCORE_RESULT_SIZEOF * i));
      }
      return List.copyOf(scores);
    }
  }

  private static Score readScore(NativeBuffer structs, long at) {
    double information = structs.getDouble(at + Structs.CHANGE_SCORE_RESULT_INFORMATION);
    double total = structs.getDouble(at + Structs.CHANGE_SCORE_RESULT_TOTAL);
    return new Score(
        structs.getDouble(at + Structs.CHANGE_SCORE_RESULT_SCORE),
        information,
        new Counts(
            structs.getLong(at + Structs.CHANGE_SCORE_RESULT_ENTRIES),
            structs.getLong(at + Structs.CHANGE_SCORE_RESULT_OBSERVED),
            structs.getDouble(at + Structs.CHANGE_SCORE_RESULT_EXPECTED)),
        total > 0 ? 1 - information / total : 0,
        new Convergence(
            structs.getInt(at + Structs.CHANGE_SCORE_RESULT_STATUS) == 0,
            structs.getDouble(at + Structs.CHANGE_SCORE_RESULT_IMBALANCE),
            structs.getLong(at + Structs.CHANGE_SCORE_RESULT_STEPS)));
  }

  /** Positions of structs and arrays in the memory of a call. The model is at 0. */
  private record Layout(ChangeModel model, int setCount, int binCount) {
    Layout(ChangeModel model, int setCount) {
      this(model, setCount, model.binCount());
    }

    private boolean hasRanges() {
      return model.ends.length > 0;
    }

    long optionsAt() {
      return Structs.CHANGE_MODEL_SIZEOF + model.base.structBytes();
    }

    long logitsAt() {
      return optionsAt() + Structs.CHANGE_OPTIONS_SIZEOF;
    }

    long workspaceAt() {
      return logitsAt() + Structs.CHANGE_LOGITS_SIZEOF;
    }

    long rowsAt() {
      return workspaceAt() + Workspace.STRUCT_BYTES;
    }

    long columnsAt() {
      return rowsAt() + 8 * model.base.rows();
    }

    long binsAt() {
      return columnsAt() + 8 * model.base.columns();
    }

    long setsAt() {
      return binsAt() + 8L * binCount;
    }

    long scoresAt() {
      return setsAt() + 8L * setCount;
    }

    long codesAt() {
      return scoresAt() + (long) Structs.CHANGE_SCORE_RESULT_SIZEOF * setCount;
    }

    long bytes() {
      return codesAt() + 4L * (model.bins.length + model.ends.length);
    }

    void write(NativeBuffer structs, long address, long changed, Operand.Leases leases) {
      model.base.write(structs, address, Structs.CHANGE_MODEL_SIZEOF, leases);
      structs
          .putInts(codesAt(), hasRanges() ? model.ends : model.bins)
          .putLong(Structs.CHANGE_MODEL_SIZE, Structs.CHANGE_MODEL_SIZEOF)
          .putLong(Structs.CHANGE_MODEL_BASE, address + Structs.CHANGE_MODEL_SIZEOF)
          .putLong(Structs.CHANGE_MODEL_CHANGED, changed)
          .putLong(Structs.CHANGE_MODEL_BINS, hasRanges() ? 0 : address + codesAt())
          .putLong(Structs.CHANGE_MODEL_BIN_COUNT, binCount)
          .putLong(Structs.CHANGE_MODEL_BIN_ENDS, hasRanges() ? address + codesAt() : 0)
          .putLong(logitsAt() + Structs.CHANGE_LOGITS_SIZE, Structs.CHANGE_LOGITS_SIZEOF)
          .putLong(logitsAt() + Structs.CHANGE_LOGITS_ROWS, address + rowsAt())
          .putLong(logitsAt() + Structs.CHANGE_LOGITS_COLUMNS, address + columnsAt())
          .putLong(logitsAt() + Structs.CHANGE_LOGITS_BINS, address + binsAt());
    }
  }
}
