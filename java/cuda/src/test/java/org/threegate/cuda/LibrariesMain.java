package org.threegate.cuda;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.threegate.buffer.NativeBuffer;
import org.threegate.dtype.Dtype;
import org.threegate.kernel.Context;
import org.threegate.kernel.Doctor;
import org.threegate.kernel.Matrix;
import org.threegate.kernel.Operand;
import org.threegate.kernel.TruncatedSvd;

/** Prints where the presets find libraries, or uses them on the emulated device. */
final class LibrariesMain {
  private static final int ORDER = 90; // more than the device solves without cuSOLVER

  private LibrariesMain() {}

  public static void main(String[] arguments) throws IOException {
    if (arguments.length == 0) {
      try {
        System.out.println(new PresetLibraries().directories());
      } catch (IOException e) {
        System.out.println(e.getMessage());
      }
      return;
    }
    try (Context context = Context.open(Context.Device.CUDA, 1);
        NativeBuffer entries = context.allocate((long) ORDER * ORDER * Float.BYTES)) {
      entries.fill(0, entries.bytes(), (byte) 0);
      for (int i = 0; i < ORDER; i++) {
        entries.putFloat((long) i * (ORDER + 1) * Float.BYTES, i + 1);
      }
      Operand matrix = Operand.of(Matrix.of(entries, Dtype.F32, ORDER, ORDER));
      System.out.println(
          TruncatedSvd.of(context, TruncatedSvd.Request.spectrum(matrix, 1e-9)).values()[0]);
    }
    System.out.print(Doctor.report().text());
    Files.readAllLines(Path.of("/proc/self/maps")).stream()
        .filter(line -> line.contains("libcusolver"))
        .map(line -> "mapped " + line.substring(line.indexOf('/')))
        .distinct()
        .forEach(System.out::println);
  }
}
