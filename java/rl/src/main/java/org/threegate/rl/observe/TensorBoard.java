package org.threegate.rl.observe;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.time.Clock;
import java.util.HashSet;
import java.util.Set;
import java.util.regex.Pattern;
import java.util.zip.CRC32C;
import org.threegate.file.AtomicFiles;
import org.threegate.rl.event.Metric;
import org.threegate.rl.event.TrainingEvent;
import org.threegate.rl.event.TrainingObserver;

/**
 * Writes metrics as an event file for TensorBoard: TFRecords that contain {@code tensorflow.Event}
 * protocol buffers with scalar summaries. The first value of a metric has its kind and its unit as
 * a description. A resumed run writes a new file, and cuts off the later steps of the older ones,
 * so that no step is there twice.
 *
 * <pre>{@code
 * try (TensorBoard board = TensorBoard.open(Path.of("run"), 0, Clock.systemUTC())) {
 *   trainer.run(board);
 * }
 * }</pre>
 */
public final class TensorBoard implements TrainingObserver, AutoCloseable {
  private static final int VARINT = 0;
  private static final int FIXED_64 = 1;
  private static final int BYTES = 2;
  private static final int FIXED_32 = 5;
  private static final int CRC_ROTATION = 15;
  private static final int CRC_DELTA = 0xa282ead8;

  private static final int FRAME = 16; // bytes around the data of a record
  private static final int LARGEST = 1 << 26; // bytes of a record
  private static final int STEP_BYTES = 20; // in which the time and the step are
  private static final Pattern OWN = Pattern.compile("events\\.out\\.tfevents\\..*\\.threegate");

  private final FileChannel out;
  private final Clock clock;
  private final Set<String> described = new HashSet<>();

  private TensorBoard(FileChannel out, Clock clock) {
    this.out = out;
    this.clock = clock;
  }

  /**
   * Opens a new event file.
   *
   * @param directory the log directory
   * @param step the step that the run resumes from; 0 for a new run, which deletes event files that
   *     this class wrote
   * @param clock the clock of the event times
   * @return the observer
   * @throws IOException when the file cannot be created
   */
  public static TensorBoard open(Path directory, long step, Clock clock) throws IOException {
    Files.createDirectories(directory);
    for (Path file : AtomicFiles.list(directory)) {
      if (OWN.matcher(file.getFileName().toString()).matches() && Files.isRegularFile(file)) {
        truncate(file, step);
      }
    }
    long millis = clock.millis();
    while (Files.exists(directory.resolve(name(millis)))) {
      millis++;
    }
    TensorBoard board =
        new TensorBoard(
            FileChannel.open(
                directory.resolve(name(millis)),
                StandardOpenOption.CREATE_NEW,
                StandardOpenOption.WRITE),
            clock);
    Message version = board.event(0);
    version.bytes(3, "brain.Event:2".getBytes(StandardCharsets.UTF_8));
    board.record(version);
    if (step > 0) {
      // SessionLog START: TensorBoard discards events of this and later steps from earlier files.
      Message start = board.event(step + 1);
      Message log = new Message();
      log.varint(1, 1);
      start.bytes(7, log.toByteArray());
      board.record(start);
    }
    return board;
  }

  private static String name(long millis) {
    return "events.out.tfevents." + millis + ".threegate";
  }

  /**
   * Cuts a file off before the first event of a later step, or where it is incomplete. A new run
   * deletes the file.
   */
  private static void truncate(Path file, long step) throws IOException {
    if (step == 0) {
      Files.delete(file);
      return;
    }
    try (FileChannel in =
        FileChannel.open(file, StandardOpenOption.READ, StandardOpenOption.WRITE)) {
      long end = 0;
      long size = in.size();
      while (end + FRAME <= size) {
        long length = read(in, end, 8).getLong();
        if (length < 0
            || length > LARGEST
            || length > size - end - FRAME
            || stepOf(read(in, end + 12, (int) Math.min(length, STEP_BYTES))) > step) {
          break;
        }
        end += FRAME + length;
      }
      if (end < size) {
        in.truncate(end);
      }
    }
  }

  private static ByteBuffer read(FileChannel in, long at, int bytes) throws IOException {
    ByteBuffer buffer = little(bytes);
    while (buffer.hasRemaining() && in.read(buffer, at + buffer.position()) > 0) {
      continue;
    }
    return buffer.flip();
  }

  /** Returns the step of an event that this class wrote, which is after its time. */
  private static long stepOf(ByteBuffer event) {
    if (event.remaining() < 11 || event.get(0) != 0x09 || event.get(9) != 0x10) {
      return Long.MAX_VALUE;
    }
    long step = 0;
    int shift = 0;
    for (int at = 10; at < event.limit() && shift < Long.SIZE; at++, shift += 7) {
      step |= (event.get(at) & 0x7fL) << shift;
      if (event.get(at) >= 0) {
        return step;
      }
    }
    return Long.MAX_VALUE;
  }

  /** Encodes the fields of a protocol buffer. */
  private static final class Message {
    private final ByteArrayOutputStream out = new ByteArrayOutputStream();

    private void number(long value) {
      long rest = value;
      while ((rest & ~0x7fL) != 0) {
        out.write((int) (rest & 0x7f | 0x80));
        rest >>>= 7;
      }
      out.write((int) rest);
    }

    private void key(int field, int type) {
      number((long) field << 3 | type);
    }

    void varint(int field, long value) {
      key(field, VARINT);
      number(value);
    }

    void bytes(int field, byte[] value) {
      key(field, BYTES);
      number(value.length);
      out.writeBytes(value);
    }

    void float64(int field, double value) {
      key(field, FIXED_64);
      out.writeBytes(little(8).putDouble(value).array());
    }

    void float32(int field, float value) {
      key(field, FIXED_32);
      out.writeBytes(little(4).putFloat(value).array());
    }

    byte[] toByteArray() {
      return out.toByteArray();
    }
  }

  private static ByteBuffer little(int bytes) {
    return ByteBuffer.allocate(bytes).order(ByteOrder.LITTLE_ENDIAN);
  }

  private Message event(long step) {
    Message event = new Message();
    event.float64(1, clock.millis() / 1000.0);
    event.varint(2, step);
    return event;
  }

  private void record(Message event) throws IOException {
    byte[] data = event.toByteArray();
    byte[] length = little(8).putLong(data.length).array();
    ByteBuffer record = little(data.length + 16);
    record.put(length).putInt(masked(length)).put(data).putInt(masked(data)).flip();
    while (record.hasRemaining()) {
      out.write(record);
    }
  }

  private static int masked(byte[] data) {
    CRC32C sum = new CRC32C();
    sum.update(data);
    return Integer.rotateRight((int) sum.getValue(), CRC_ROTATION) + CRC_DELTA;
  }

  @Override
  public void on(TrainingEvent event) {
    Message summary = new Message();
    for (Metric metric : event.typed()) {
      Message value = new Message();
      value.bytes(1, metric.name().getBytes(StandardCharsets.UTF_8));
      value.float32(2, (float) metric.value());
      if (described.add(metric.name())) {
        Message about = new Message();
        String unit = metric.kind().unit();
        String text = metric.kind().label() + (unit.isEmpty() ? "" : ", in " + unit);
        about.bytes(3, text.getBytes(StandardCharsets.UTF_8)); // summary_description
        value.bytes(9, about.toByteArray());
      }
      summary.bytes(1, value.toByteArray());
    }
    Message of = event(event.step());
    of.bytes(5, summary.toByteArray());
    try {
      record(of);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  @Override
  public void close() throws IOException {
    try (out) {
      out.force(true);
    }
  }
}
