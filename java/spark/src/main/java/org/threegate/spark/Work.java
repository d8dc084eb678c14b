package org.threegate.spark;

import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.Serializable;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.zip.Deflater;
import java.util.zip.DeflaterOutputStream;
import java.util.zip.InflaterInputStream;
import org.threegate.analysis.compare.Comparison;
import org.threegate.analysis.compare.PairMeasurement;
import org.threegate.analysis.consensus.Consensus;
import org.threegate.analysis.consensus.TensorConsensus;
import org.threegate.analysis.consensus.TensorTrajectory;
import org.threegate.analysis.consensus.Trajectory;
import org.threegate.analysis.diff.DiffMeasurement;
import org.threegate.analysis.geometry.GeometryOptions;
import org.threegate.analysis.journal.Journal;
import org.threegate.analysis.mask.MaskOptions;
import org.threegate.analysis.mask.MaskWriter;
import org.threegate.analysis.pairing.TensorPair;
import org.threegate.kernel.Context;
import org.threegate.kernel.Control;

/** The measurement of an item. It runs the same code as on one machine. */
interface Work extends Serializable {
  byte[] of(Context context, List<TensorPair> pairs, Control control) throws IOException;

  /** Encodes a record as compressed JSON without loss of precision. */
  static byte[] encode(Object item) throws IOException {
    ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    try (DeflaterOutputStream out =
        new DeflaterOutputStream(bytes, new Deflater(Deflater.BEST_SPEED))) {
      out.write(Journal.encode(item).getBytes(StandardCharsets.UTF_8));
    }
    return bytes.toByteArray();
  }

  /** Decodes a record that {@link #encode} wrote. */
  static <T> T decode(Class<T> type, byte[] bytes) throws IOException {
    try (InflaterInputStream in = new InflaterInputStream(new ByteArrayInputStream(bytes))) {
      return Journal.decode(type, new String(in.readAllBytes(), StandardCharsets.UTF_8));
    }
  }

  /**
   * Produces a {@link Comparison.Finished} without digests.
   *
   * @param options geometry options as JSON; {@code null}: no geometry
   */
  record Compare(String options) implements Work {
    static Compare of(Optional<GeometryOptions> geometry) throws IOException {
      return new Compare(Journal.encode(geometry));
    }

    @Override
    public byte[] of(Context context, List<TensorPair> pairs, Control control) throws IOException {
      Optional<GeometryOptions> geometry =
          Optional.ofNullable(Journal.decode(GeometryOptions.class, options));
      TensorPair pair = pairs.get(0);
      return encode(
          new Comparison.Finished(
              DiffMeasurement.of(context, pair, control),
              geometry.flatMap(wanted -> PairMeasurement.geometry(context, pair, wanted, control)),
              Map.of()));
    }
  }

  /**
   * Produces an {@link Agreement}.
   *
   * @param steps training steps of the runs; empty if they are not checkpoints of one run
   * @param options geometry options as JSON
   */
  record Agree(double[] steps, String options) implements Work {
    /** The agreement of the runs in one matrix, and their trajectory. */
    record Agreement(TensorConsensus tensor, Optional<TensorTrajectory> trajectory) {}

    @Override
    public byte[] of(Context context, List<TensorPair> pairs, Control control) throws IOException {
      GeometryOptions geometry = Journal.decode(GeometryOptions.class, options);
      TensorConsensus tensor = Consensus.of(context, pairs, control);
      Optional<TensorTrajectory> trajectory =
          steps.length == 0
              ? Optional.empty()
              : Optional.of(new Trajectory(steps, geometry).of(context, pairs, control));
      return encode(new Agreement(tensor, trajectory));
    }
  }

  /**
   * Produces the packed bits of a mask, as in a mask file.
   *
   * @param options kind and size of the mask, as JSON
   */
  record Mask(String options) implements Work {
    static Mask of(MaskOptions options) throws IOException {
      return new Mask(Journal.encode(options));
    }

    @Override
    public byte[] of(Context context, List<TensorPair> pairs, Control control) throws IOException {
      MaskOptions mask = Journal.decode(MaskOptions.class, options);
      return MaskWriter.of(context, pairs.get(0), mask, control);
    }
  }
}
