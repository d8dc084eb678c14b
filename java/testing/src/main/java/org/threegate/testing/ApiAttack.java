package org.threegate.testing;

import java.io.IOException;
import java.lang.reflect.Array;
import java.lang.reflect.Constructor;
import java.lang.reflect.Executable;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.lang.reflect.Modifier;
import java.lang.reflect.ParameterizedType;
import java.lang.reflect.Type;
import java.lang.reflect.WildcardType;
import java.net.URI;
import java.net.URISyntaxException;
import java.nio.Buffer;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.channels.ReadableByteChannel;
import java.nio.channels.WritableByteChannel;
import java.nio.file.FileSystem;
import java.nio.file.FileSystems;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Random;
import java.util.TreeMap;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicReferenceArray;
import java.util.stream.Stream;
import org.threegate.buffer.NativeBuffer;
import org.threegate.dtype.Dtype;
import org.threegate.kernel.Context;
import org.threegate.kernel.KernelException;
import org.threegate.kernel.MappedFile;
import org.threegate.kernel.Mask;
import org.threegate.kernel.Matrix;
import org.threegate.kernel.Operand;
import org.threegate.loading.Bindings;
import org.threegate.spi.KernelBinding;

/**
 * Calls all public methods of {@code org.threegate.buffer} and {@code org.threegate.kernel} with
 * random arguments from several threads. Some arguments are objects that another thread closes at
 * the same time. Methods are found by reflection, so that new kernels are covered.
 *
 * <p>A call may refuse its arguments, in a documented way. Sizes that overflow or that no machine
 * has are refused as arguments. Arrays that go into a result or come out of it must be copies.
 *
 * <p>The program {@code ApiAttack ROUNDS SEED} runs in a separate JVM, which a crash would end. It
 * exits with 1 if a call throws an unexpected exception. Methods with addresses are left out,
 * because addresses are trusted.
 */
public final class ApiAttack {
  private static final int THREADS = 2;
  private static final int SHARED = 6; // objects of a type at a time
  private static final int DEPTH = 5;
  private static final int CALLS = 4; // a round
  private static final long MOST_BYTES = 1 << 20;
  private static final int FILE_BYTES = 1 << 14;
  private static final List<Class<? extends Throwable>> EXPECTED =
      List.of(
          KernelException.class,
          IllegalStateException.class,
          IllegalArgumentException.class,
          IndexOutOfBoundsException.class,
          UnsupportedOperationException.class,
          NoArgument.class,
          java.nio.BufferOverflowException.class,
          java.nio.BufferUnderflowException.class,
          IOException.class);
  private static final long[] NUMBERS = {
    0, 1, 1, 2, 3, 4, 4, 8, 8, 16, 16, 31, 64, 65, 100, 128, 1000, 4096, 32768
  };
  private static final long[] HOSTILE = {
    -1,
    -8,
    Integer.MAX_VALUE,
    Integer.MIN_VALUE,
    1L << 31,
    1L << 32,
    1L << 60,
    1L << 61,
    Long.MAX_VALUE,
    Long.MAX_VALUE - 7,
    Long.MIN_VALUE
  };

  private static final List<Class<?>> SHAPED = List.of(Matrix.class, Operand.class, Mask.class);

  /** An argument of a call could not be made. */
  private static final class NoArgument extends RuntimeException {
    private static final long serialVersionUID = 1L;

    NoArgument(String message) {
      super(message);
    }
  }

  private final Map<Class<?>, AtomicReferenceArray<Object>> pools = new ConcurrentHashMap<>();
  private final List<Executable> calls;
  private final Path file;

  private ApiAttack(Path file) throws IOException {
    this.file = file;
    this.calls = calls();
  }

  /** Runs the attack with a number of rounds and a seed. */
  public static void main(String[] arguments) throws Exception {
    int rounds = Integer.parseInt(arguments[0]);
    long seed = Long.parseLong(arguments[1]);
    Path file = Files.createTempFile("attacked", ".bin");
    try {
      Files.write(file, new byte[FILE_BYTES]);
      new ApiAttack(file).run(rounds, seed);
    } finally {
      Files.delete(file);
    }
  }

  private void run(int rounds, long seed) throws InterruptedException {
    List<Attacker> attackers = new ArrayList<>();
    for (int i = 0; i < THREADS; i++) {
      attackers.add(new Attacker(new Random(seed + i), rounds * CALLS / THREADS));
    }
    attackers.forEach(Thread::start);
    for (Attacker attacker : attackers) {
      attacker.join();
    }
    Map<String, Integer> reached = new TreeMap<>();
    attackers.forEach(
        attacker ->
            attacker.returned.forEach((name, count) -> reached.merge(name, count, Integer::sum)));
    System.out.println(rounds + " rounds; calls that returned, by method: " + reached);
    for (Executable call : calls) {
      if (!reached.containsKey(name(call))) {
        System.out.println("never returned: " + call);
      }
    }
    for (Attacker attacker : attackers) {
      if (attacker.unexpected != null) {
        attacker.unexpected.printStackTrace();
        System.exit(1);
      }
    }
  }

  private static String name(Executable call) {
    return call.getDeclaringClass().getSimpleName()
        + (call instanceof Constructor ? "" : "." + call.getName());
  }

  /** Returns all public methods and constructors of both packages. */
  private static List<Executable> calls() throws IOException {
    List<Executable> calls = new ArrayList<>();
    for (Class<?> type : types()) {
      if (!Modifier.isPublic(type.getModifiers()) || type.isAnonymousClass()) {
        continue;
      }
      for (Method method : type.getDeclaredMethods()) {
        if (Modifier.isPublic(method.getModifiers())
            && !method.isSynthetic()
            && !takesAddress(method)) {
          calls.add(method);
        }
      }
      for (Constructor<?> constructor : type.getConstructors()) {
        if (!Modifier.isAbstract(type.getModifiers()) && !Throwable.class.isAssignableFrom(type)) {
          calls.add(constructor);
        }
      }
    }
    // Reflection has no defined order, but a seed must give the same calls again.
    calls.sort(Comparator.comparing(Executable::toGenericString));
    return calls;
  }

  private static boolean takesAddress(Method method) {
    return method.getDeclaringClass() == NativeBuffer.Lease.class
            && List.of("address", "view").contains(method.getName())
        || method.getParameterCount() > 2
            && List.of("wrap", "wrapOnDevice", "readOnly").contains(method.getName());
  }

  private static List<Class<?>> types() throws IOException {
    List<Class<?>> types = new ArrayList<>();
    for (Class<?> anchor : List.of(NativeBuffer.class, Context.class)) {
      String directory = anchor.getPackageName().replace('.', '/');
      URI source;
      try {
        source = anchor.getProtectionDomain().getCodeSource().getLocation().toURI();
      } catch (URISyntaxException e) {
        throw new IOException(e);
      }
      Path path = Path.of(source);
      if (Files.isDirectory(path)) {
        collect(path.resolve(directory), anchor.getPackageName(), types);
      } else {
        try (FileSystem jar = FileSystems.newFileSystem(path)) {
          collect(jar.getPath(directory), anchor.getPackageName(), types);
        }
      }
    }
    return types;
  }

  private static void collect(Path directory, String packageName, List<Class<?>> types)
      throws IOException {
    try (Stream<Path> files = Files.list(directory)) {
      for (Path file : files.sorted().toList()) {
        String name = file.getFileName().toString();
        if (name.endsWith(".class") && !name.equals("package-info.class")) {
          try {
            types.add(
                Class.forName(
                    packageName + "." + name.substring(0, name.length() - ".class".length())));
          } catch (ClassNotFoundException e) {
            throw new IOException(e);
          }
        }
      }
    }
  }

  /** A thread of the attack. */
  private final class Attacker extends Thread {
    private final Random random;
    private final int count;
    private final Map<String, Integer> returned = new TreeMap<>();
    private Throwable unexpected;
    private int side; // shape of all matrices of a call, for half of the calls; 0 for random shapes

    Attacker(Random random, int count) {
      this.random = random;
      this.count = count;
    }

    @Override
    public void run() {
      for (int i = 0; i < count && unexpected == null; i++) {
        Executable call = calls.get(random.nextInt(calls.size()));
        side = random.nextBoolean() ? 0 : 4 << random.nextInt(2);
        try {
          attack(call);
        } catch (InvocationTargetException e) {
          if (!isExpected(e.getCause())) {
            unexpected = new AssertionError(call + " threw " + e.getCause(), e.getCause());
          }
        } catch (ReflectiveOperationException | RuntimeException e) {
          // An argument could not be made.
          if (!isExpected(e)) {
            unexpected = new AssertionError(call + ": " + e, e);
          }
        }
        touchView();
      }
    }

    private boolean isExpected(Throwable thrown) {
      return EXPECTED.stream().anyMatch(type -> type.isInstance(thrown))
          || thrown instanceof OutOfMemoryError error && isPlausible(error);
    }

    /**
     * Returns whether there was too little memory for a size that can exist. Sizes that cannot must
     * be refused as arguments.
     */
    private boolean isPlausible(OutOfMemoryError error) {
      String message = String.valueOf(error.getMessage());
      return message.contains("Java heap space") || message.startsWith("cannot allocate ");
    }

    private void attack(Executable call) throws ReflectiveOperationException {
      Object result;
      Object[] arguments = arguments(call, DEPTH);
      if (call instanceof Method method) {
        Object receiver =
            Modifier.isStatic(method.getModifiers())
                ? null
                : value(method.getDeclaringClass(), DEPTH);
        result = method.invoke(receiver, arguments);
      } else {
        result = ((Constructor<?>) call).newInstance(arguments);
      }
      returned.merge(name(call), 1, Integer::sum);
      List<Object> shared = new ArrayList<>();
      ArrayCopies.arraysIn(arguments, shared);
      if (result != null && result.getClass().getName().startsWith("org.threegate.")) {
        ArrayCopies.require(result, shared);
      }
      share(result);
    }

    /** Reads and writes a slice, which is valid after its buffer is closed. */
    private void touchView() {
      if (shared(ByteBuffer.class) instanceof ByteBuffer view && view.capacity() > 0) {
        int at = random.nextInt(view.capacity());
        ByteBuffer own = view.duplicate().clear();
        byte old = own.get(at);
        if (!own.isReadOnly()) {
          own.put(at, old);
        }
      }
    }

    private Object[] arguments(Executable call, int depth) throws ReflectiveOperationException {
      Type[] types = call.getGenericParameterTypes();
      Object[] arguments = new Object[types.length];
      for (int i = 0; i < types.length; i++) {
        arguments[i] = value(types[i], depth);
        if (arguments[i] instanceof Long number) {
          arguments[i] = sizeOf(call, number);
        }
      }
      return arguments;
    }

    /** Limits sizes, so that no later call fills gigabytes. */
    private long sizeOf(Executable call, long number) {
      return call.getName().equals("allocate") && number > MOST_BYTES && number < 1L << 59
          ? MOST_BYTES
          : number;
    }

    private long number() {
      if (side != 0 && random.nextInt(12) != 0) {
        return new long[] {0, 1, 2, side, (long) side * side}[random.nextInt(5)];
      }
      return random.nextInt(12) == 0
          ? HOSTILE[random.nextInt(HOSTILE.length)]
          : NUMBERS[random.nextInt(random.nextBoolean() ? 9 : NUMBERS.length)];
    }

    private Object value(Type type, int depth) throws ReflectiveOperationException {
      if (type instanceof ParameterizedType generic) {
        Type of = generic.getActualTypeArguments()[0];
        if (generic.getRawType() == Optional.class) {
          return random.nextBoolean() ? Optional.empty() : Optional.of(value(of, depth));
        }
        List<Object> list = new ArrayList<>();
        for (int i = random.nextInt(3); i >= 0; i--) {
          list.add(value(of, depth));
        }
        return list;
      }
      if (type instanceof WildcardType wildcard) {
        return value(wildcard.getUpperBounds()[0], depth);
      }
      Class<?> raw = (Class<?>) type;
      if (raw.isArray()) {
        return array(raw.getComponentType(), depth);
      }
      if (raw.isEnum()) {
        Object[] all = raw.getEnumConstants();
        return raw == Context.Device.class ? Context.Device.CPU : all[random.nextInt(all.length)];
      }
      return raw.isPrimitive() || raw == Integer.class ? primitive(raw) : object(raw, depth);
    }

    private Object primitive(Class<?> raw) {
      long number = number();
      return switch (raw.getName()) {
        case "int", "java.lang.Integer" -> (int) number;
        case "long" -> number;
        case "short" -> (short) number;
        case "byte" -> (byte) number;
        case "boolean" -> random.nextBoolean();
        case "float" -> (float) real();
        default -> real();
      };
    }

    private double real() {
      return random.nextInt(10) == 0
          ? new double[] {Double.NaN, Double.POSITIVE_INFINITY, -1, 0, 1e-300}[random.nextInt(5)]
          : Math.pow(10, -random.nextInt(7));
    }

    private Object array(Class<?> component, int depth) throws ReflectiveOperationException {
      long wanted = side == 0 ? number() : random.nextBoolean() ? side : (long) side * side;
      int length = (int) Math.min(Math.max(0, wanted), component.isPrimitive() ? 1 << 15 : 3);
      Object array = Array.newInstance(component, length);
      for (int i = 0; i < Math.min(length, 100); i++) {
        Array.set(array, i, value(component, depth));
      }
      return array;
    }

    private Object object(Class<?> raw, int depth) throws ReflectiveOperationException {
      boolean shaped = side != 0 && SHAPED.contains(raw);
      Object known = random.nextInt(shaped ? 5 : 3) < (shaped ? 4 : 1) ? null : shared(raw);
      if (known != null) {
        return known;
      }
      if (raw == ByteBuffer.class) {
        return bytes();
      }
      if (raw == Path.class) {
        return file;
      }
      if (raw == Object.class) {
        return "an object";
      }
      if (raw == String.class) {
        return "text";
      }
      if (raw == KernelBinding.class) {
        return Bindings.get();
      }
      if (raw == WritableByteChannel.class
          || raw == ReadableByteChannel.class
          || raw == FileChannel.class) {
        return channel();
      }
      if (raw == NativeBuffer.class) {
        return share(NativeBuffer.allocate(Bindings.get(), size()));
      }
      if (raw == Context.class) {
        return share(Context.open(Context.Device.CPU, 1 + random.nextInt(2)));
      }
      if (raw == MappedFile.class) {
        return share(MappedFile.open((Context) value(Context.class, depth), file));
      }
      if (depth == 0) {
        throw new NoArgument("no " + raw.getSimpleName());
      }
      return share(made(raw, depth - 1));
    }

    /** Makes an object by calling a method that returns one. */
    private Object made(Class<?> raw, int depth) throws ReflectiveOperationException {
      if (raw == Matrix.class && random.nextInt(4) != 0) {
        return matrix(depth);
      }
      if (side != 0 && raw == Operand.class && random.nextInt(4) != 0) {
        return Operand.of((Matrix) matrix(depth));
      }
      if (side != 0 && raw == Mask.class) {
        return new Mask(side, side, (long[]) array(long.class, depth));
      }
      List<Executable> makers = new ArrayList<>();
      for (Executable call : calls) {
        Class<?> made =
            call instanceof Method method ? method.getReturnType() : call.getDeclaringClass();
        if (raw.isAssignableFrom(made)) {
          makers.add(call);
        }
      }
      if (makers.isEmpty()) {
        throw new NoArgument("nothing makes a " + raw);
      }
      Executable maker = makers.get(random.nextInt(makers.size()));
      Object[] arguments = arguments(maker, depth);
      try {
        return maker instanceof Method method
            ? method.invoke(
                Modifier.isStatic(method.getModifiers())
                    ? null
                    : value(method.getDeclaringClass(), depth),
                arguments)
            : ((Constructor<?>) maker).newInstance(arguments);
      } catch (InvocationTargetException e) {
        if (!isExpected(e.getCause())) {
          throw e;
        }
        throw new NoArgument("no " + raw.getSimpleName());
      }
    }

    /** Makes a matrix of one of a few shapes, so that some fit together. */
    private Object matrix(int depth) throws ReflectiveOperationException {
      NativeBuffer buffer = (NativeBuffer) value(NativeBuffer.class, depth);
      int rows = side != 0 ? side : 4 << random.nextInt(2);
      int columns = side != 0 ? side : 4 << random.nextInt(2);
      Dtype dtype =
          random.nextInt(3) == 0
              ? Dtype.values()[random.nextInt(Dtype.values().length)]
              : random.nextBoolean() ? Dtype.F32 : Dtype.F64;
      return Matrix.of(buffer, dtype, rows, columns);
    }

    private int size() {
      return random.nextInt(3) == 0 ? random.nextInt(1 << 18) : 1024 << random.nextInt(5);
    }

    private ByteBuffer bytes() {
      int size = random.nextInt(1 << 13);
      ByteBuffer bytes =
          random.nextBoolean() ? ByteBuffer.allocateDirect(size) : ByteBuffer.allocate(size);
      return random.nextInt(4) == 0 ? bytes.asReadOnlyBuffer() : bytes;
    }

    private FileChannel channel() {
      try {
        // The channel is closed when it is collected. No more than a few hundred are made.
        Object old = shared(FileChannel.class);
        return old instanceof FileChannel channel
            ? channel
            : (FileChannel)
                share(
                    FileChannel.open(
                        Files.createTempFile("attacked", ".channel"),
                        StandardOpenOption.READ,
                        StandardOpenOption.WRITE,
                        StandardOpenOption.DELETE_ON_CLOSE));
      } catch (IOException e) {
        throw new IllegalStateException(e);
      }
    }

    private Object shared(Class<?> raw) {
      List<Object> found = new ArrayList<>();
      for (Map.Entry<Class<?>, AtomicReferenceArray<Object>> pool : pools.entrySet()) {
        if (raw.isAssignableFrom(pool.getKey()) && raw != Object.class) {
          Object one = pool.getValue().get(random.nextInt(SHARED));
          if (one != null) {
            found.add(one);
          }
        }
      }
      return found.isEmpty() ? null : found.get(random.nextInt(found.size()));
    }

    /** Shares an object with the other threads and closes the object that it replaces. */
    private Object share(Object made) {
      if (made instanceof Optional<?> optional) {
        optional.ifPresent(this::share);
        return made;
      }
      if (made instanceof List<?> list) {
        list.forEach(this::share);
        return made;
      }
      if (made == null
          || made.getClass().isArray()
          || made.getClass().getName().startsWith("java.lang.")) {
        return made;
      }
      Class<?> key =
          made instanceof Buffer
              ? ByteBuffer.class
              : made instanceof FileChannel ? FileChannel.class : made.getClass();
      Object replaced =
          pools
              .computeIfAbsent(key, type -> new AtomicReferenceArray<>(SHARED))
              .getAndSet(random.nextInt(SHARED), made);
      if (replaced instanceof AutoCloseable closeable) {
        try {
          closeable.close();
        } catch (Exception e) {
          // The object is in use. The cleaner or the thread that uses it closes it.
          if (!isExpected(e) && unexpected == null) {
            unexpected = e;
          }
        }
      }
      return made;
    }
  }
}
