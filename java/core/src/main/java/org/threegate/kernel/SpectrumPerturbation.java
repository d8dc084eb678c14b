package org.threegate.kernel;

import java.util.ArrayList;
import java.util.List;
import org.threegate.buffer.NativeBuffer;
import org.threegate.spi.KernelBinding;
import org.threegate.spi.Structs;

/**
 * Singular values and leading subspaces of a matrix after a small update, by perturbation theory in
 * its singular bases ({@code tg_svd_perturb}). The first order comes from the diagonal, the second
 * from pairs of levels, each of which is solved exactly. The cost is one pass over the update,
 * while a decomposition of the sum costs the cube of the short side.
 *
 * <pre>{@code
 * double[] base = {3, 2, 1};
 * Matrix core = NullUpdate.rotated(context, new NullUpdate.Spectrum(new double[] {1e-3, 1e-3, 1e-3}, 50), new NullUpdate.Draw(7, 0));
 * try (NativeBuffer update = core.buffer()) {
 *   SpectrumPerturbation after = SpectrumPerturbation.of(context, base, core, List.of(1));
 *   System.out.println(after.values()[0] + ", turned by " + after.longAngles().get(0)[0]);
 * }
 * }</pre>
 *
 * @param values singular values of the sum, descending
 * @param longAngles for each rank k, the principal angles between the leading subspaces of the long
 *     side before and after, in radians, ascending
 * @param shortAngles the same angles for the short side
 * @param total squared Frobenius norm of the update
 * @param longEnergy for each rank, energy of the update in the leading directions of the long side
 * @param shortEnergy for each rank, energy in the leading directions of the short side
 * @param bothEnergy for each rank, energy in the leading directions of both sides
 * @param mixing mean mixing of a level with all others but one, which is neglected; the relative
 *     error of the distance of the spectra is about a fifth of its square
 * @param boundaryMixing neglected mixing at the boundary of a leading subspace, the largest over
 *     the ranks
 */
public record SpectrumPerturbation(
    double[] values,
    List<double[]> longAngles,
    List<double[]> shortAngles,
    double total,
    double[] longEnergy,
    double[] shortEnergy,
    double[] bothEnergy,
    double mixing,
    double boundaryMixing) {
  /** Copies the arrays. */
  public SpectrumPerturbation {
    if (longAngles.size() != longEnergy.length
        || shortAngles.size() != longEnergy.length
        || shortEnergy.length != longEnergy.length
        || bothEnergy.length != longEnergy.length) {
      throw new IllegalArgumentException("angles and energies of different numbers of ranks");
    }
    values = values.clone();
    longAngles = copy(longAngles);
    shortAngles = copy(shortAngles);
    longEnergy = longEnergy.clone();
    shortEnergy = shortEnergy.clone();
    bothEnergy = bothEnergy.clone();
  }

  private static List<double[]> copy(List<double[]> arrays) {
    return arrays.stream().map(double[]::clone).toList();
  }

  /** {@return a copy of the array} */
  @Override
  public double[] values() {
    return values.clone();
  }

  /** {@return a copy of the arrays} */
  @Override
  public List<double[]> longAngles() {
    return copy(longAngles);
  }

  /** {@return a copy of the arrays} */
  @Override
  public List<double[]> shortAngles() {
    return copy(shortAngles);
  }

  /** {@return a copy of the array} */
  @Override
  public double[] longEnergy() {
    return longEnergy.clone();
  }

  /** {@return a copy of the array} */
  @Override
  public double[] shortEnergy() {
    return shortEnergy.clone();
  }

  /** {@return a copy of the array} */
  @Override
  public double[] bothEnergy() {
    return bothEnergy.clone();
  }

  /**
   * Perturbs a diagonal matrix.
   *
   * @param context context that runs the kernel
   * @param base r singular values, descending
   * @param core the update: float32, r to 2r rows and r columns, as {@link NullUpdate#rotated}
   *     returns it
   * @param given dimensions of the leading subspaces, each 1 to r
   * @return the perturbed spectrum and subspaces
   */
  public static SpectrumPerturbation of(
      Context context, double[] base, Matrix core, List<Integer> given) {
    List<Integer> ranks = List.copyOf(given);
    NullUpdate.requireCore(core);
    if (core.columns() != base.length) {
      throw new IllegalArgumentException(
          base.length + " singular values and a core of " + core.columns() + " columns");
    }
    for (int rank : ranks) {
      if (rank < 1 || rank > base.length) {
        throw new IllegalArgumentException("rank " + rank + " of " + base.length);
      }
    }
    long angles = ranks.stream().mapToLong(Integer::longValue).sum();
    long resultAt = Structs.PERTURBATION_OPTIONS_SIZEOF;
    long workspaceAt = resultAt + Structs.PERTURBATION_RESULT_SIZEOF;
    long baseAt = workspaceAt + Workspace.STRUCT_BYTES;
    long ranksAt = baseAt + 8L * base.length;
    long valuesAt = ranksAt + 8L * ranks.size();
    long longAt = valuesAt + 8L * base.length;
    long shortAt = longAt + 8L * angles;
    long energiesAt = shortAt + 8L * angles;
    KernelBinding binding = context.binding();
    try (Context.Call call = context.begin();
        NativeBuffer structs = context.allocate(energiesAt + 24L * ranks.size());
        Operand.Leases leases = Operand.Leases.onProcessor(context)) {
      long address = leases.take(structs);
      structs.putDoubles(baseAt, base);
      for (int i = 0; i < ranks.size(); i++) {
        structs.putLong(ranksAt + 8L * i, ranks.get(i));
      }
      structs
          .putLong(Structs.PERTURBATION_OPTIONS_SIZE, Structs.PERTURBATION_OPTIONS_SIZEOF)
          .putLong(Structs.PERTURBATION_OPTIONS_COUNT, base.length)
          .putLong(Structs.PERTURBATION_OPTIONS_CORE_ROWS, core.rows())
          .putLong(Structs.PERTURBATION_OPTIONS_BASE_VALUES, address + baseAt)
          .putLong(Structs.PERTURBATION_OPTIONS_CORE, leases.take(core.buffer()) + core.offset())
          .putLong(Structs.PERTURBATION_OPTIONS_RANKS, address + ranksAt)
          .putLong(Structs.PERTURBATION_OPTIONS_RANK_COUNT, ranks.size())
          .putLong(resultAt + Structs.PERTURBATION_RESULT_SIZE, Structs.PERTURBATION_RESULT_SIZEOF)
          .putLong(resultAt + Structs.PERTURBATION_RESULT_VALUES, address + valuesAt)
          .putLong(resultAt + Structs.PERTURBATION_RESULT_LONG_ANGLES, address + longAt)
          .putLong(resultAt + Structs.PERTURBATION_RESULT_SHORT_ANGLES, address + shortAt)
          .putLong(resultAt + Structs.PERTURBATION_RESULT_ENERGIES, address + energiesAt);
      Workspace.use(
          context,
          call,
          structs,
          workspaceAt,
          size -> binding.svdPerturbWorkspace(context.handle(), address, size),
          workspace ->
              binding.svdPerturb(context.handle(), address, workspace, address + resultAt));
      double[][] energies = new double[3][ranks.size()];
      List<double[]> ofLong = new ArrayList<>();
      List<double[]> ofShort = new ArrayList<>();
      long at = 0;
      for (int i = 0; i < ranks.size(); i++) {
        for (int part = 0; part < energies.length; part++) {
          energies[part][i] = structs.getDouble(energiesAt + 24L * i + 8L * part);
        }
        ofLong.add(structs.getDoubles(longAt + at, ranks.get(i)));
        ofShort.add(structs.getDoubles(shortAt + at, ranks.get(i)));
        at += 8L * ranks.get(i);
      }
      return new SpectrumPerturbation(
          structs.getDoubles(valuesAt, base.length),
          List.copyOf(ofLong),
          List.copyOf(ofShort),
          structs.getDouble(resultAt + Structs.PERTURBATION_RESULT_TOTAL),
          energies[0],
          energies[1],
          energies[2],
          structs.getDouble(resultAt + Structs.PERTURBATION_RESULT_MIXING),
          structs.getDouble(resultAt + Structs.PERTURBATION_RESULT_BOUNDARY_MIXING));
    }
  }
}
