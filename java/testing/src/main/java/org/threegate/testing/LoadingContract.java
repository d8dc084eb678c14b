package org.threegate.testing;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.FileTime;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.TreeMap;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * Tests of the files that a binding unpacks and loads. Each case runs in a separate JVM with a
 * separate cache. Subclasses run the tests once, because they do not depend on the SIMD level.
 */
@Tag("binding")
public abstract class LoadingContract {
  private static final int REFUSED = 3;
  private static final int KILLS = 5;
  private static final int MOMENT_MILLIS = 2500;
  private static final String UNCHANGED = "unchanged since they were verified";

  @TempDir protected Path directory;
  private Path cache;

  @BeforeEach
  void emptyCache() {
    cache = directory.resolve("cache");
  }

  /** Restores permissions, for example of a directory that a test made writable for others. */
  @AfterEach
  void giveBack() throws IOException {
    try (Stream<Path> all = Files.walk(directory)) {
      for (Path path : all.filter(Files::isDirectory).toList()) {
        mode(path, "rwx------");
      }
    }
  }

  /** Returns a program that loads the binding with the cache of this test. */
  protected ChildJvm child(String... options) {
    List<String> all = new ArrayList<>(List.of("-Dthreegate.cache=" + cache, "-Xmx64m"));
    all.addAll(List.of(options));
    return ChildJvm.of(LoadMain.class).options(all.toArray(String[]::new));
  }

  private static void requireLoaded(ChildJvm.Result result, Path from) {
    assertThat(result.code()).as(result.output()).isZero();
    assertThat(result.output())
        .contains("OpenBLAS", from + "/", "libthreegate.so.1", "libopenblas.so.0");
  }

  /** Requires one line that contains all parts. */
  protected static void requireRefused(ChildJvm.Result result, String... parts) {
    assertThat(result.code()).as(result.output()).isEqualTo(REFUSED);
    assertThat(result.output()).contains(parts);
    assertThat(result.output().strip().lines()).hasSize(1);
  }

  private Path unpacked() throws IOException {
    try (Stream<Path> all = Files.list(cache)) {
      return all.findFirst().orElseThrow();
    }
  }

  private static List<Path> files(Path directory) throws IOException {
    try (Stream<Path> all = Files.list(directory)) {
      return all.sorted().toList();
    }
  }

  private static Map<String, byte[]> contents(Path directory) throws IOException {
    Map<String, byte[]> contents = new TreeMap<>();
    for (Path file : files(directory)) {
      contents.put(file.getFileName().toString(), Files.readAllBytes(file));
    }
    return contents;
  }

  private static void requireSame(Map<String, byte[]> found, Map<String, byte[]> expected) {
    assertThat(found.keySet()).isEqualTo(expected.keySet());
    expected.forEach((name, bytes) -> assertThat(found.get(name)).as(name).isEqualTo(bytes));
  }

  private static void mode(Path path, String permissions) throws IOException {
    Files.setPosixFilePermissions(path, PosixFilePermissions.fromString(permissions));
  }

  private static String mode(Path path) throws IOException {
    return PosixFilePermissions.toString(
        Files.getPosixFilePermissions(path, LinkOption.NOFOLLOW_LINKS));
  }

  private void requireOwn() throws IOException {
    assertThat(mode(cache)).isEqualTo("rwx------");
    assertThat(mode(unpacked())).isEqualTo("rwx------");
    for (Path file : files(unpacked())) {
      assertThat(mode(file)).as(file.toString()).isEqualTo("rw-------");
      assertThat(file.toString()).doesNotEndWith(".partial");
    }
  }

  @Test
  void whatIsUnpackedIsTheUsersAlone() throws Exception {
    requireLoaded(child().before("umask 000").run(), cache);
    requireOwn();
    // A second run uses the files as they are. It adds only the stamp that they are verified.
    Map<Path, Object> times = new TreeMap<>();
    for (Path file : files(unpacked())) {
      times.put(file, Files.getAttribute(file, "unix:ctime"));
    }
    requireLoaded(child().run(), cache);
    for (Path file : times.keySet()) {
      assertThat(Files.getAttribute(file, "unix:ctime")).isEqualTo(times.get(file));
    }
    requireOwn();
  }

  /**
   * Files that were verified are not read again, until one of them or the stamp changes, even if
   * its size and its time of modification stay the same.
   */
  @Test
  void whatWasVerifiedIsReadAgainOnlyAfterAChange() throws Exception {
    requireLoaded(child().run(), cache);
    // Files that were written a moment ago are verified, but get no stamp.
    Thread.sleep(MOMENT_MILLIS);
    ChildJvm.Result verified = child().run();
    requireLoaded(verified, cache);
    assertThat(verified.output()).contains(", verified").doesNotContain(UNCHANGED);
    Path own = unpacked();
    Path stamp = own.resolve("verified");
    Map<String, byte[]> expected = contents(own);
    ChildJvm.Result unchanged = child().run();
    requireLoaded(unchanged, cache);
    assertThat(unchanged.output()).contains(UNCHANGED);
    Random random = Seeds.random("whatWasVerifiedIsReadAgainOnlyAfterAChange");
    for (Path library : files(own).stream().filter(file -> !file.equals(stamp)).toList()) {
      if (!library.toString().contains(".so")) {
        continue;
      }
      requireStamped();
      FileTime modified = Files.getLastModifiedTime(library);
      try (FileChannel file =
          FileChannel.open(library, StandardOpenOption.READ, StandardOpenOption.WRITE)) {
        ByteBuffer one = ByteBuffer.allocate(1);
        long at = random.nextLong(file.size());
        file.read(one, at);
        file.write(one.put(0, (byte) (one.get(0) ^ 1 << random.nextInt(8))).flip(), at);
      }
      Files.setLastModifiedTime(library, modified);
      ChildJvm.Result repaired = child().run();
      requireLoaded(repaired, cache);
      assertThat(repaired.output()).contains("1 unpacked now");
      expected.put("verified", Files.readAllBytes(stamp));
      requireSame(contents(own), expected);
    }
    requireStamped();
    // A stamp that others can write, a link and a stamp with other contents count for nothing.
    mode(stamp, "rw-rw-rw-");
    assertThat(child().run().output()).doesNotContain(UNCHANGED);
    requireStamped();
    Path elsewhere = directory.resolve("stamp");
    Files.move(stamp, elsewhere);
    Files.createSymbolicLink(stamp, elsewhere);
    assertThat(child().run().output()).doesNotContain(UNCHANGED);
    requireStamped();
    Files.writeString(stamp, Files.readString(stamp).replace('1', '2'));
    assertThat(child().run().output()).doesNotContain(UNCHANGED);
    requireStamped();
  }

  /** Runs until the files are verified and stamped. */
  private void requireStamped() throws Exception {
    Thread.sleep(MOMENT_MILLIS);
    requireLoaded(child().run(), cache);
    assertThat(child().run().output()).contains(UNCHANGED);
    requireOwn();
  }

  /**
   * Files that differ from those of the jar are unpacked again: files that are cut, changed by a
   * bit, deleted, linked, or writable for others.
   */
  @Test
  void whatIsNotTheJarsIsUnpackedAgain() throws Exception {
    requireLoaded(child().run(), cache);
    Path own = unpacked();
    Map<String, byte[]> expected = contents(own);
    Random random = Seeds.random("whatIsNotTheJarsIsUnpackedAgain");
    List<Path> libraries =
        files(own).stream().filter(file -> file.toString().contains(".so")).toList();
    for (Path library : libraries) {
      try (FileChannel file = FileChannel.open(library, StandardOpenOption.WRITE)) {
        file.truncate(random.nextLong(file.size()));
      }
    }
    requireLoaded(child().run(), cache);
    requireSame(contents(own), expected);
    for (Path library : libraries) {
      byte[] bytes = Files.readAllBytes(library);
      int at = random.nextInt(bytes.length);
      bytes[at] = (byte) (bytes[at] ^ 1 << random.nextInt(8));
      Files.write(library, bytes);
    }
    requireLoaded(child().run(), cache);
    requireSame(contents(own), expected);
    // Each library is damaged in another way. The first one is loaded before the others are
    // checked.
    for (int i = 0; i < libraries.size(); i++) {
      Path library = libraries.get(i);
      Path elsewhere = directory.resolve("planted-" + i);
      switch (i % 4) {
        case 0 -> {
          Files.move(library, elsewhere);
          Files.createSymbolicLink(library, elsewhere);
        }
        case 1 -> Files.createLink(elsewhere, library);
        case 2 -> mode(library, "rw-rw-rw-");
        default -> Files.delete(library);
      }
      Files.write(own.resolve(library.getFileName() + ".partial"), new byte[100]);
    }
    requireLoaded(child().run(), cache);
    requireSame(contents(own), expected);
    requireOwn();
  }

  @Test
  void aDirectoryThatOthersCanWriteIsRefused() throws Exception {
    requireLoaded(child().run(), cache);
    Path own = unpacked();
    for (Path open : List.of(own, cache)) {
      for (String mode : List.of("rwxrwx---", "rwx----w-", "rwxrwxrwx")) {
        mode(open, mode);
        requireRefused(
            child().run(), open.toString(), "can be written by others", "-Dthreegate.cache=DIR");
      }
      mode(open, "rwx------");
    }
    // Others could replace the cache if they can write to the directory above it.
    mode(directory, "rwxrwxrwx");
    requireRefused(child().run(), directory.toString(), "can be written by others");
    mode(directory, "rwxr-xr-x");
    // Read permission for others does no harm, but the cache becomes private again.
    mode(cache, "rwxr-xr-x");
    requireLoaded(child().run(), cache);
    requireOwn();
  }

  @Test
  void aLinkInThePlaceOfTheDirectoryIsRefused() throws Exception {
    requireLoaded(child().run(), cache);
    Path own = unpacked();
    Path elsewhere = directory.resolve("elsewhere");
    Files.move(own, elsewhere);
    Files.createSymbolicLink(own, elsewhere);
    requireRefused(child().run(), own.toString(), "is a link or a file");
    Files.delete(own);
    Files.createFile(own);
    requireRefused(child().run(), own.toString(), "is a link or a file");
    Files.delete(own);
    Files.move(elsewhere, own);
    // The lock may not be a link either, because opening it would create a file elsewhere.
    Path lock = own.resolve("lock");
    Files.deleteIfExists(lock);
    Files.createSymbolicLink(lock, directory.resolve("made"));
    Files.delete(own.resolve("libopenblas.so.0"));
    requireRefused(child().run(), lock.toString());
    assertThat(directory.resolve("made")).doesNotExist();
    // The user may replace the cache itself by a link. Only the target of the link is checked.
    Files.delete(lock);
    Path link = directory.resolve("link");
    Files.createSymbolicLink(link, cache);
    requireLoaded(ChildJvm.of(LoadMain.class).options("-Dthreegate.cache=" + link).run(), cache);
  }

  @Test
  void whereItIsIsSaidInAnAbsolutePath() throws Exception {
    ChildJvm.Result relative =
        ChildJvm.of(LoadMain.class).options("-Dthreegate.cache=some/cache").run();
    requireRefused(relative, "-Dthreegate.cache is \"some/cache\"", "absolute path");
    assertThat(Path.of("some")).doesNotExist();
    ChildJvm.Result variable =
        ChildJvm.of(LoadMain.class).environment(Map.of("XDG_CACHE_HOME", "some/cache")).run();
    requireRefused(variable, "XDG_CACHE_HOME is \"some/cache\"", "absolute path");
    // The property has priority over the variable. The variable names a directory that programs
    // share.
    Map<String, String> xdg = Map.of("XDG_CACHE_HOME", directory.resolve("xdg").toString());
    requireLoaded(child().environment(xdg).run(), cache);
    assertThat(directory.resolve("xdg")).doesNotExist();
    requireLoaded(
        ChildJvm.of(LoadMain.class).environment(xdg).run(),
        directory.resolve("xdg").resolve("threegate"));
  }

  @Test
  void manyCanUnpackAtOnce() throws Exception {
    List<Process> processes = new ArrayList<>();
    for (int i = 0; i < 4; i++) {
      processes.add(child().start(directory.resolve("output-" + i)));
    }
    for (int i = 0; i < processes.size(); i++) {
      assertThat(processes.get(i).waitFor(5, TimeUnit.MINUTES)).isTrue();
      String output = Files.readString(directory.resolve("output-" + i));
      requireLoaded(new ChildJvm.Result(processes.get(i).exitValue(), output), cache);
    }
    requireOwn();
  }

  @Test
  void whatWasKilledIsCompletedByTheNext() throws Exception {
    Random random = Seeds.random("whatWasKilledIsCompletedByTheNext");
    Path output = directory.resolve("output");
    for (int i = 0; i < KILLS; i++) {
      Process process = child().start(output);
      while (process.isAlive() && !isUnpacking()) {
        Thread.onSpinWait();
      }
      Thread.sleep(random.nextInt(60));
      process.destroyForcibly().waitFor();
      if (i % 2 == 1 && Files.exists(cache)) {
        for (Path file : files(unpacked())) {
          Files.delete(file);
        }
      }
    }
    requireLoaded(child().run(), cache);
    requireOwn();
  }

  private boolean isUnpacking() throws IOException {
    if (!Files.exists(cache)) {
      return false;
    }
    try (Stream<Path> all = Files.walk(cache, 2)) {
      return all.anyMatch(path -> path.toString().endsWith(".partial"));
    } catch (java.io.UncheckedIOException e) {
      return true; // renamed while it was listed
    }
  }

  @Test
  void aGivenDirectoryIsUsedAsItIs() throws Exception {
    requireLoaded(child().run(), cache);
    Path given = directory.resolve("given");
    Files.createDirectory(given);
    for (Path file : files(unpacked())) {
      Files.copy(file, given.resolve(file.getFileName()), StandardCopyOption.COPY_ATTRIBUTES);
    }
    // Changed libraries are used, too. The licence of libquadmath asks for it.
    for (Path file : files(given)) {
      mode(file, "rwx------");
      Files.write(file, new byte[] {0}, StandardOpenOption.APPEND);
    }
    ChildJvm child = ChildJvm.of(LoadMain.class).options("-Dthreegate.library.path=" + given);
    requireLoaded(child.run(), given);
    mode(given, "rwxrwxrwx");
    requireRefused(child.run(), given.toString(), "every user can write to it");
    mode(given, "rwxr-xr-x");
    mode(given.resolve("libthreegate.so.1"), "rw-rw-rw-");
    requireRefused(child.run(), given.toString(), "every user can write to it");
  }

  @Test
  void otherPlatformsAreRefusedByName() throws Exception {
    requireRefused(
        child("-Dos.name=Mac OS X", "-Dos.arch=aarch64").run(),
        "threegate has natives for linux-x86_64 and linux-aarch64",
        "this is mac os x-aarch64");
    requireRefused(
        child("-Dos.name=Windows 11", "-Dos.arch=amd64").run(), "this is windows 11-x86_64");
    requireRefused(child("-Dos.name=Linux", "-Dos.arch=riscv64").run(), "this is linux-riscv64");
    requireRefused(
        child("-Dos.name=Linux", "-Dos.arch=aarch64").run(), "with the classifier linux-aarch64");
    assertThat(cache).doesNotExist();
  }

  @Test
  void anUnknownBindingListsTheChoices() throws Exception {
    requireRefused(
        child("-Dthreegate.binding=jna").run(), "-Dthreegate.binding=jna", "choose jni or ffm");
  }

  @Test
  void missingArtifactsAreNamed() throws Exception {
    String binding = binding();
    requireRefused(
        child("-Dthreegate.binding=" + binding).without("threegate-natives").run(),
        "org.threegate:threegate-natives",
        "linux-x86_64");
    requireRefused(
        child("-Dthreegate.binding=" + binding).without("binding-" + binding).run(),
        binding + ": add org.threegate:threegate-binding-" + binding);
  }

  @Test
  void theDoctorReportsWithAndWithoutABinding() throws Exception {
    String[] options = {"-Dthreegate.cache=" + cache, "-Dthreegate.binding=" + binding()};
    ChildJvm.Result works = ChildJvm.of(DoctorMain.class).options(options).run();
    assertThat(works.code()).as(works.output()).isZero();
    assertThat(works.output())
        .contains("binding   " + binding() + "\n", cache.toString(), "opened and closed a context");
    ChildJvm.Result fails =
        ChildJvm.of(DoctorMain.class).options(options).without("threegate-natives").run();
    assertThat(fails.code()).as(fails.output()).isEqualTo(REFUSED);
    assertThat(fails.output())
        .contains("JDK ", "binding   none\n", "add org.threegate:threegate-natives");
  }

  /** Returns the binding under test. */
  protected abstract String binding();

  /** The library of the tokenizers, for example, is loaded in this way. */
  @Test
  void anotherLibraryIsComparedWithItsJar() throws Exception {
    ChildJvm child = ChildJvm.of(LoadMain.class, "other").options("-Dthreegate.cache=" + cache);
    ChildJvm.Result result = child.run();
    Path file = cache.resolve("other").resolve("LoadMain.class");
    assertThat(result.output().strip()).isEqualTo(file.toString());
    byte[] expected = Files.readAllBytes(file);
    Files.write(file, new byte[expected.length]);
    assertThat(child.run().code()).isZero();
    assertThat(Files.readAllBytes(file)).isEqualTo(expected);
    requireOwn();
    for (String name : List.of("../other", "a/b", "", ".", "/tmp")) {
      requireRefused(
          ChildJvm.of(LoadMain.class, name).options("-Dthreegate.cache=" + cache).run(),
          "is not a plain name");
    }
  }
}
