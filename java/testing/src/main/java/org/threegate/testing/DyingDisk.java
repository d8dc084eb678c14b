package org.threegate.testing;

import java.io.IOException;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.lang.reflect.Proxy;
import java.net.URI;
import java.nio.ByteBuffer;
import java.nio.MappedByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.channels.FileLock;
import java.nio.channels.ReadableByteChannel;
import java.nio.channels.SeekableByteChannel;
import java.nio.channels.WritableByteChannel;
import java.nio.file.AccessMode;
import java.nio.file.CopyOption;
import java.nio.file.DirectoryStream;
import java.nio.file.FileStore;
import java.nio.file.FileSystem;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.OpenOption;
import java.nio.file.Path;
import java.nio.file.PathMatcher;
import java.nio.file.StandardOpenOption;
import java.nio.file.WatchService;
import java.nio.file.attribute.BasicFileAttributes;
import java.nio.file.attribute.FileAttribute;
import java.nio.file.attribute.FileAttributeView;
import java.nio.file.attribute.UserPrincipalLookupService;
import java.nio.file.spi.FileSystemProvider;
import java.util.ArrayList;
import java.util.Iterator;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import java.util.concurrent.atomic.AtomicLong;

/**
 * Simulates a process that is killed while it writes. Files reached through {@link #path} are real
 * files until a number of changes were made. A write after that is done in part. It throws {@link
 * Death}, and so do all later changes. Clean-up code therefore has no effect, as in a killed
 * process.
 *
 * <pre>{@code
 * Path file = Path.of("file");
 * DyingDisk disk = new DyingDisk(3, new java.util.Random(1));
 * try {
 *   Files.writeString(disk.path(file), "half of it is there");
 * } catch (DyingDisk.Death e) {
 *   System.out.println(Files.size(file));
 * }
 * }</pre>
 */
public final class DyingDisk {
  private final AtomicLong left;
  private final Random torn;
  private final Provider provider = new Provider();
  private final Paths paths = new Paths();

  /** The end of the process. Code under test does not catch it. */
  public static final class Death extends Error {
    private static final long serialVersionUID = 1;
  }

  /**
   * Creates a disk.
   *
   * @param changes number of changes that are made
   * @param torn decides how much of the next write is done
   */
  public DyingDisk(long changes, Random torn) {
    this.left = new AtomicLong(changes);
    this.torn = torn;
  }

  /** Returns a path to the same file whose changes are counted. */
  public Path path(Path real) {
    return (Path)
        Proxy.newProxyInstance(
            DyingDisk.class.getClassLoader(),
            new Class<?>[] {Path.class, Wrapped.class},
            (proxy, method, arguments) -> call(real, method, arguments));
  }

  /** Returns whether the process has died. */
  public boolean isDead() {
    return left.get() < 0;
  }

  private void change() {
    if (left.decrementAndGet() < 0) {
      throw new Death();
    }
  }

  /** A path of this file system. */
  private interface Wrapped {
    Path real();
  }

  private static Path real(Path path) {
    return path instanceof Wrapped wrapped ? wrapped.real() : path;
  }

  private Object call(Path real, Method method, Object... arguments) throws Throwable {
    if (method.getName().equals("real")) {
      return real;
    }
    if (method.getName().equals("getFileSystem")) {
      return paths;
    }
    Object[] own = arguments == null ? new Object[0] : arguments.clone();
    for (int i = 0; i < own.length; i++) {
      own[i] = own[i] instanceof Path path ? real(path) : own[i];
    }
    try {
      Object result = method.invoke(real, own);
      if (result instanceof Path path) {
        return path(path);
      }
      return result instanceof Iterator<?> iterator ? wrapped(iterator) : result;
    } catch (InvocationTargetException e) {
      throw e.getCause();
    }
  }

  private Iterator<Path> wrapped(Iterator<?> paths) {
    List<Path> all = new ArrayList<>();
    paths.forEachRemaining(path -> all.add(path((Path) path)));
    return all.iterator();
  }

  /** A file system that only has the provider. */
  private final class Paths extends FileSystem {
    @Override
    public FileSystemProvider provider() {
      return provider;
    }

    @Override
    public void close() {
      throw new UnsupportedOperationException();
    }

    @Override
    public boolean isOpen() {
      return true;
    }

    @Override
    public boolean isReadOnly() {
      return false;
    }

    @Override
    public String getSeparator() {
      return "/";
    }

    @Override
    public Iterable<Path> getRootDirectories() {
      throw new UnsupportedOperationException();
    }

    @Override
    public Iterable<FileStore> getFileStores() {
      throw new UnsupportedOperationException();
    }

    @Override
    public Set<String> supportedFileAttributeViews() {
      return Set.of("basic", "posix", "unix");
    }

    @Override
    public Path getPath(String first, String... more) {
      return path(Path.of(first, more));
    }

    @Override
    public PathMatcher getPathMatcher(String pattern) {
      throw new UnsupportedOperationException();
    }

    @Override
    public UserPrincipalLookupService getUserPrincipalLookupService() {
      throw new UnsupportedOperationException();
    }

    @Override
    public WatchService newWatchService() {
      throw new UnsupportedOperationException();
    }
  }

  /** Delegates to the real provider and counts changes. */
  private final class Provider extends FileSystemProvider {
    private FileSystemProvider of(Path path) {
      return real(path).getFileSystem().provider();
    }

    @Override
    public String getScheme() {
      return "dying";
    }

    @Override
    public FileSystem newFileSystem(URI uri, Map<String, ?> environment) {
      throw new UnsupportedOperationException();
    }

    @Override
    public FileSystem getFileSystem(URI uri) {
      return paths;
    }

    @Override
    public Path getPath(URI uri) {
      return path(Path.of(uri));
    }

    @Override
    public FileChannel newFileChannel(
        Path path, Set<? extends OpenOption> options, FileAttribute<?>... attributes)
        throws IOException {
      boolean makes =
          options.contains(StandardOpenOption.CREATE_NEW)
              || options.contains(StandardOpenOption.CREATE) && !Files.exists(real(path))
              || options.contains(StandardOpenOption.TRUNCATE_EXISTING);
      if (makes) {
        change();
      }
      return new Channel(FileChannel.open(real(path), options, attributes));
    }

    @Override
    public SeekableByteChannel newByteChannel(
        Path path, Set<? extends OpenOption> options, FileAttribute<?>... attributes)
        throws IOException {
      return newFileChannel(path, options, attributes);
    }

    @Override
    public DirectoryStream<Path> newDirectoryStream(
        Path directory, DirectoryStream.Filter<? super Path> filter) throws IOException {
      DirectoryStream<Path> entries =
          of(directory).newDirectoryStream(real(directory), path -> filter.accept(path(path)));
      return new DirectoryStream<>() {
        @Override
        public Iterator<Path> iterator() {
          return wrapped(entries.iterator());
        }

        @Override
        public void close() throws IOException {
          entries.close();
        }
      };
    }

    @Override
    public void createDirectory(Path directory, FileAttribute<?>... attributes) throws IOException {
      change();
      of(directory).createDirectory(real(directory), attributes);
    }

    @Override
    public void delete(Path path) throws IOException {
      change();
      of(path).delete(real(path));
    }

    @Override
    public boolean deleteIfExists(Path path) throws IOException {
      if (!Files.exists(real(path), LinkOption.NOFOLLOW_LINKS)) {
        return false;
      }
      delete(path);
      return true;
    }

    @Override
    public void copy(Path from, Path to, CopyOption... options) throws IOException {
      change();
      Files.copy(real(from), real(to), options);
    }

    @Override
    public void move(Path from, Path to, CopyOption... options) throws IOException {
      change();
      Files.move(real(from), real(to), options);
    }

    @Override
    public boolean isSameFile(Path one, Path other) throws IOException {
      return Files.isSameFile(real(one), real(other));
    }

    @Override
    public boolean isHidden(Path path) throws IOException {
      return Files.isHidden(real(path));
    }

    @Override
    public FileStore getFileStore(Path path) throws IOException {
      return Files.getFileStore(real(path));
    }

    @Override
    public void checkAccess(Path path, AccessMode... modes) throws IOException {
      of(path).checkAccess(real(path), modes);
    }

    @Override
    public <V extends FileAttributeView> V getFileAttributeView(
        Path path, Class<V> type, LinkOption... options) {
      return Files.getFileAttributeView(real(path), type, options);
    }

    @Override
    public <A extends BasicFileAttributes> A readAttributes(
        Path path, Class<A> type, LinkOption... options) throws IOException {
      return Files.readAttributes(real(path), type, options);
    }

    @Override
    public Map<String, Object> readAttributes(Path path, String names, LinkOption... options)
        throws IOException {
      return Files.readAttributes(real(path), names, options);
    }

    @Override
    public void setAttribute(Path path, String name, Object value, LinkOption... options)
        throws IOException {
      change();
      Files.setAttribute(real(path), name, value, options);
    }
  }

  /** Delegates to the real channel and counts changes. */
  private final class Channel extends FileChannel {
    private final FileChannel real;

    Channel(FileChannel real) {
      this.real = real;
    }

    /** A write that can be done in part. */
    @FunctionalInterface
    private interface Write {
      int write(ByteBuffer bytes) throws IOException;
    }

    private int write(ByteBuffer bytes, Write write) throws IOException {
      try {
        change();
      } catch (Death e) {
        if (left.get() == -1) {
          ByteBuffer part = bytes.duplicate();
          part.limit(part.position() + torn.nextInt(part.remaining() + 1));
          write.write(part);
        }
        throw e;
      }
      return write.write(bytes);
    }

    @Override
    public int write(ByteBuffer bytes) throws IOException {
      return write(bytes, real::write);
    }

    @Override
    public int write(ByteBuffer bytes, long position) throws IOException {
      return write(bytes, part -> real.write(part, position));
    }

    @Override
    public long write(ByteBuffer[] bytes, int offset, int length) throws IOException {
      long sum = 0;
      for (int i = offset; i < offset + length; i++) {
        sum += write(bytes[i]);
      }
      return sum;
    }

    @Override
    public int read(ByteBuffer to) throws IOException {
      return real.read(to);
    }

    @Override
    public long read(ByteBuffer[] to, int offset, int length) throws IOException {
      return real.read(to, offset, length);
    }

    @Override
    public int read(ByteBuffer to, long position) throws IOException {
      return real.read(to, position);
    }

    @Override
    public long position() throws IOException {
      return real.position();
    }

    @Override
    public FileChannel position(long position) throws IOException {
      real.position(position);
      return this;
    }

    @Override
    public long size() throws IOException {
      return real.size();
    }

    @Override
    public FileChannel truncate(long size) throws IOException {
      if (size < real.size()) {
        change();
      }
      real.truncate(size);
      return this;
    }

    @Override
    public void force(boolean metadata) throws IOException {
      change();
      real.force(metadata);
    }

    @Override
    public long transferTo(long position, long count, WritableByteChannel to) throws IOException {
      return real.transferTo(position, count, to);
    }

    @Override
    public long transferFrom(ReadableByteChannel from, long position, long count) {
      throw new UnsupportedOperationException();
    }

    @Override
    public MappedByteBuffer map(MapMode mode, long position, long size) throws IOException {
      return real.map(mode, position, size);
    }

    @Override
    public FileLock lock(long position, long size, boolean shared) throws IOException {
      return real.lock(position, size, shared);
    }

    @Override
    public FileLock tryLock(long position, long size, boolean shared) throws IOException {
      return real.tryLock(position, size, shared);
    }

    @Override
    protected void implCloseChannel() throws IOException {
      real.close();
    }
  }
}
