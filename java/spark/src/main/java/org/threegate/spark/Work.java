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

/** What is measured of an item: the same code that runs on one machine. */
interface Work extends Serializable {
  byte[] of(Context context, List<TensorPair> pairs, Control control) throws IOException;

  /** A record as compressed JSON, which holds every bit of it. */
  static byte[] encode(Object item) throws IOException {
    ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    try (DeflaterOutputStream out =
        new DeflaterOutputStream(bytes, new Deflater(Deflater.BEST_SPEED))) {
      out.write(Journal.encode(item).getBytes(StandardCharsets.UTF_8));
    }
    return bytes.toByteArray();
  }

  /** And back. */
  static <T> T decode(Class<T> type, byte[] bytes) throws IOException {
    try (InflaterInputStream in = new InflaterInputStream(new ByteArrayInputStream(bytes))) {
      return Journal.decode(type, new String(in.readAllBytes(), StandardCharsets.UTF_8));
    }
  }

  /**
   * A {@link Comparison.Finished}, without digests.
   *
   * @param options as JSON; {@code null}: no geometry
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
              PairMeasurement.geometry(context, pair, geometry, control),
              Map.of()));
    }
  }

  /**
   * An {@link Agreement}.
   *
   * @param steps of the runs; none: they are not checkpoints of one run
   */
  record Agree(double[] steps, String options) implements Work {
    /** What the runs do to a matrix. */
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

  /** The bytes of a mask, as in a file. */
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
