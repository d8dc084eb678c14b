package org.threegate.spark;

import java.io.FileDescriptor;
import java.io.FileInputStream;
import java.io.IOException;
import java.io.InterruptedIOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.channels.WritableByteChannel;
import java.security.MessageDigest;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.HexFormat;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.ExecutionException;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.FSDataInputStream;
import org.apache.hadoop.fs.FileStatus;
import org.apache.hadoop.fs.FileSystem;
import org.apache.hadoop.fs.LocalFileSystem;
import org.apache.hadoop.fs.Path;
import org.apache.hadoop.fs.StreamCapabilities;
import org.threegate.analysis.pairing.TensorPair;
import org.threegate.analysis.pairing.WeightPair;
import org.threegate.buffer.NativeBuffer;
import org.threegate.checkpoint.Digests;
import org.threegate.checkpoint.weight.ScaleGrid;
import org.threegate.checkpoint.weight.Values;
import org.threegate.kernel.ByteRange;
import org.threegate.kernel.Context;
import org.threegate.kernel.Control;
import org.threegate.kernel.Matrix;
import org.threegate.kernel.Operand;
import org.threegate.kernel.Sha256;
import org.threegate.run.InvalidInputException;

/** Reads ranges of remote files into native memory for the kernels. */
final class Fetch implements AutoCloseable {
  /** Block size for local files, in bytes: source and destination fit into the cache. */
  private static final int LOCAL_BLOCK = 1 << 19;

  /** Block size for other files, in bytes: object stores need one request per block. */
  private static final int BLOCK = 8 << 20;

  private static final String READ_POLICY = "fs.option.openfile.read.policy";

  private static final long ALIGNMENT = 64;

  private final Context context;
  private final Configuration configuration;
  private final Map<Integer, Descriptions.Source> sources;
  private final Map<Integer, FSDataInputStream> open = new HashMap<>();
  private final Map<Descriptions.Stored, Long> places;
  private final Set<Descriptions.Stored> fetched = new HashSet<>();
  private final NativeBuffer arena;
  private ByteBuffer block = ByteBuffer.allocate(0);

  /**
   * Creates a reader.
   *
   * @param places offsets of matrices in the arena, see {@link #lay}
   */
  Fetch(
      Context context,
      Configuration configuration,
      Map<Integer, Descriptions.Source> sources,
      Map<Descriptions.Stored, Long> places,
      NativeBuffer arena) {
    this.context = context;
    this.configuration = configuration;
    this.sources = sources;
    this.places = places;
    this.arena = arena;
  }

  /**
   * Computes the layout of matrices in an arena.
   *
   * @return offset of each matrix in bytes
   */
  static Map<Descriptions.Stored, Long> lay(List<Descriptions.Pair> pairs) {
    Map<Descriptions.Stored, Long> places = new LinkedHashMap<>();
    long end = 0;
    for (Descriptions.Pair pair : pairs) {
      for (Descriptions.Stored stored : pair.matrices()) {
        if (places.putIfAbsent(stored, end) == null) {
          end += (stored.bytes() + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
        }
      }
    }
    return places;
  }

  /** Returns the size in bytes of an arena for this layout. */
  static long bytes(Map<Descriptions.Stored, Long> places) {
    return places.keySet().stream()
        .mapToLong(stored -> (stored.bytes() + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT)
        .sum();
  }

  /** Reads a pair. Its operands stay in native memory until it and this reader are closed. */
  TensorPair pair(Descriptions.Pair pair) throws IOException {
    return new WeightPair(
            pair.name(),
            pair.layer(),
            pair.kind(),
            pair.stored(),
            values(pair.base()),
            values(pair.tuned()),
            pair.heads(),
            Optional.empty(), // the place in the file is known to the driver
            List.of(),
            List.of())
        .open(context);
  }

  private Values values(Descriptions.Weights weights) throws IOException {
    Matrix stored = matrix(weights.values());
    Values values = new Values.Stored(Operand.of(stored));
    if (weights.scale().isPresent()) {
      Descriptions.Scale scale = weights.scale().get();
      ScaleGrid grid =
          new ScaleGrid(
              arena,
              place(scale.scales()),
              scale.scales().dtype(),
              scale.scales().columns(),
              scale.blockRows(),
              scale.blockColumns(),
              scale.period(),
              scale.factor());
      values = new Values.Scaled(stored, grid);
    }
    if (!weights.products().isEmpty()) {
      values = adapted(weights, values);
    }
    if (weights.part().isPresent()) {
      return values.part(weights.part().get().rows(), weights.part().get().columns());
    }
    return values;
  }

  private Values adapted(Descriptions.Weights weights, Values values) throws IOException {
    List<Operand.LowRank> products = new ArrayList<>();
    for (Descriptions.Product product : weights.products()) {
      products.add(
          new Operand.LowRank(matrix(product.left()), matrix(product.right()), product.scale()));
    }
    return new Values.Adapted(values, products);
  }

  private Matrix matrix(Descriptions.Stored stored) throws IOException {
    long place = place(stored);
    return Matrix.of(arena, stored.dtype().dtype().orElseThrow(), stored.rows(), stored.columns())
        .at(place);
  }

  /** Returns where a matrix lies in the arena, after it was read. */
  private long place(Descriptions.Stored stored) throws IOException {
    long place = places.get(stored);
    if (fetched.add(stored)) {
      if (stored.values().isPresent()) {
        arena.putBytes(place, stored.values().get());
      } else {
        read(stored, place);
      }
    }
    return place;
  }

  private void read(Descriptions.Stored stored, long place) throws IOException {
    FSDataInputStream in = stream(stored.file());
    long offset = stored.offset();
    FileDescriptor local = in.getFileDescriptor();
    if (local != null) {
      readLocal(local, offset, place, stored.bytes());
      return;
    }
    boolean direct = in.hasCapability(StreamCapabilities.PREADBYTEBUFFER);
    try (NativeBuffer.Lease lease = arena.leaseForOutput()) {
      for (long at = 0; at < stored.bytes(); at += BLOCK) {
        int count = (int) Math.min(BLOCK, stored.bytes() - at);
        if (direct) {
          in.readFully(offset + at, lease.view(place + at, count));
        } else {
          arena.put(place + at, block(in, offset + at, count));
        }
      }
    }
  }

  /** Reads a block to the heap. */
  private ByteBuffer block(FSDataInputStream in, long offset, int count) throws IOException {
    if (block.capacity() < count) {
      block = ByteBuffer.allocate(count);
    }
    in.readFully(offset, block.array(), 0, count);
    return block.clear().limit(count);
  }

  /**
   * Reads a block of a local file directly, without Hadoop's checksums. This needs one copy instead
   * of three.
   */
  @SuppressWarnings("resource") // the stream owns and closes the descriptor
  private void readLocal(FileDescriptor file, long offset, long place, long bytes)
      throws IOException {
    FileChannel channel = new FileInputStream(file).getChannel();
    for (long at = 0; at < bytes; at += LOCAL_BLOCK) {
      arena.readFrom(channel, offset + at, place + at, Math.min(LOCAL_BLOCK, bytes - at));
    }
  }

  /**
   * Returns the SHA-256 of the bytes of a tensor in hexadecimal. Uses the fetched bytes if they are
   * complete.
   */
  String digest(Descriptions.Digested digested, Control control) throws IOException {
    for (Descriptions.Stored stored : fetched) {
      if (stored.values().isEmpty()
          && stored.file() == digested.file()
          && stored.offset() == digested.offset()
          && stored.bytes() == digested.bytes()) {
        ByteRange range = new ByteRange(arena, places.get(stored), digested.bytes());
        return HexFormat.of().formatHex(Sha256.of(context, List.of(range), control).get(0));
      }
    }
    MessageDigest digest = Digests.sha256();
    FSDataInputStream in = stream(digested.file());
    for (long at = 0; at < digested.bytes(); at += BLOCK) {
      if (control.isCancelled()) {
        throw new InterruptedIOException("cancelled");
      }
      int count = (int) Math.min(BLOCK, digested.bytes() - at);
      digest.update(block(in, digested.offset() + at, count));
    }
    return HexFormat.of().formatHex(digest.digest());
  }

  /** Copies a range of a file to a channel. */
  void copy(int file, long offset, long bytes, WritableByteChannel out) throws IOException {
    FSDataInputStream in = stream(file);
    for (long at = 0; at < bytes; at += BLOCK) {
      ByteBuffer some = block(in, offset + at, (int) Math.min(BLOCK, bytes - at));
      while (some.hasRemaining()) {
        out.write(some);
      }
    }
  }

  private FSDataInputStream stream(int file) throws IOException {
    FSDataInputStream in = open.get(file);
    if (in == null) {
      Descriptions.Source source = sources.get(file);
      Path path = new Path(source.location());
      FileSystem files = path.getFileSystem(configuration);
      FileStatus status = files.getFileStatus(path);
      if (status.getLen() != source.bytes() || status.getModificationTime() != source.modified()) {
        throw new InvalidInputException(
            source.location()
                + ": has changed since the job began; wait until no other process writes it and try"
                + " again");
      }
      in = open(files, path);
      open.put(file, in);
    }
    return in;
  }

  /** Opens a file for reading large ranges, which object stores call random access. */
  private static FSDataInputStream open(FileSystem files, Path path) throws IOException {
    if (files instanceof LocalFileSystem) {
      return files.open(path);
    }
    try {
      return files.openFile(path).opt(READ_POLICY, "random").build().get();
    } catch (ExecutionException e) {
      throw e.getCause() instanceof IOException failure ? failure : new IOException(e.getCause());
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new InterruptedIOException(e.getMessage());
    }
  }

  @Override
  public void close() {
    open.values().forEach(Fetch::closeQuietly);
    open.clear();
  }

  private static void closeQuietly(FSDataInputStream in) {
    try {
      in.close();
    } catch (IOException e) {
      // The data has been read completely, so a failure to close is harmless.
      return;
    }
  }
}
