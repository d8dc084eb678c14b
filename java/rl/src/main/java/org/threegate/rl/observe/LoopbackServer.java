package org.threegate.rl.observe;

import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.ByteBuffer;
import java.nio.channels.CancelledKeyException;
import java.nio.channels.SelectionKey;
import java.nio.channels.Selector;
import java.nio.channels.ServerSocketChannel;
import java.nio.channels.SocketChannel;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.List;
import java.util.concurrent.locks.LockSupport;
import java.util.function.Function;

/**
 * An HTTP server for GET and HEAD on the loopback interface. It runs in one thread and never
 * blocks: connections have a deadline, the oldest is dropped when there are too many, and the sizes
 * of requests and responses are bounded.
 */
final class LoopbackServer implements AutoCloseable {
  /** The time from connecting to the last byte of the response. */
  private static final Duration PATIENCE = Duration.ofSeconds(10);

  /** The time that a client then has to close the connection. */
  private static final Duration FAREWELL = Duration.ofSeconds(1);

  private static final int MOST_CONNECTIONS = 64;
  private static final int PAUSE_MILLIS = 100;

  private final Selector selector;
  private final ServerSocketChannel listener;
  private final Function<HttpRequest, HttpAnswer> pages;
  private final long patience;
  private final Deque<Connection> connections = new ArrayDeque<>();
  private final Thread thread = new Thread(this::run, "threegate-page");
  private volatile boolean closing;

  private LoopbackServer(
      Selector selector,
      ServerSocketChannel listener,
      Function<HttpRequest, HttpAnswer> pages,
      Duration patience) {
    this.selector = selector;
    this.listener = listener;
    this.pages = pages;
    this.patience = patience.toNanos();
  }

  /**
   * Starts the server.
   *
   * @param port the port to listen on; 0 chooses a free one
   * @param pages returns the response to a valid GET or HEAD request
   */
  static LoopbackServer open(int port, Function<HttpRequest, HttpAnswer> pages) throws IOException {
    return open(port, pages, PATIENCE);
  }

  static LoopbackServer open(int port, Function<HttpRequest, HttpAnswer> pages, Duration patience)
      throws IOException {
    Selector selector = Selector.open();
    try {
      ServerSocketChannel listener = ServerSocketChannel.open();
      try {
        listener.bind(
            new InetSocketAddress(InetAddress.getByAddress(new byte[] {127, 0, 0, 1}), port));
        listener.configureBlocking(false);
        listener.register(selector, SelectionKey.OP_ACCEPT);
        LoopbackServer server = new LoopbackServer(selector, listener, pages, patience);
        server.thread.setDaemon(true);
        server.thread.start();
        return server;
      } catch (IOException | RuntimeException e) {
        listener.close();
        throw e;
      }
    } catch (IOException | RuntimeException e) {
      selector.close();
      throw e;
    }
  }

  int port() {
    return listener.socket().getLocalPort();
  }

  private void run() {
    try (selector;
        listener) {
      while (!closing) {
        selector.select(connections.isEmpty() ? 0 : PAUSE_MILLIS);
        for (SelectionKey key : selector.selectedKeys()) {
          ready(key);
        }
        selector.selectedKeys().clear();
        long now = System.nanoTime();
        List.copyOf(connections).stream()
            .filter(connection -> connection.deadline - now < 0)
            .forEach(this::drop);
      }
    } catch (IOException e) {
      System.getLogger(LoopbackServer.class.getName())
          .log(System.Logger.Level.WARNING, "the server of the live page has stopped", e);
    } finally {
      List.copyOf(connections).forEach(this::drop);
    }
  }

  private void ready(SelectionKey key) {
    if (key.channel() == listener) {
      accept();
      return;
    }
    Connection connection = (Connection) key.attachment();
    try {
      if (connection.isDone(key)) {
        drop(connection);
      }
    } catch (IOException | CancelledKeyException e) {
      drop(connection); // the client has disconnected
    }
  }

  private void accept() {
    try {
      SocketChannel channel = listener.accept();
      if (channel == null) {
        return;
      }
      Connection connection = new Connection(channel, System.nanoTime() + patience);
      connections.add(connection);
      channel.configureBlocking(false);
      channel.register(selector, SelectionKey.OP_READ, connection);
      if (connections.size() > MOST_CONNECTIONS) {
        drop(connections.getFirst());
      }
    } catch (IOException e) {
      // Out of file descriptors: drop a connection to free one.
      if (connections.isEmpty()) {
        LockSupport.parkNanos(PAUSE_MILLIS * 1_000_000L);
      } else {
        drop(connections.getFirst());
      }
    }
  }

  private void drop(Connection connection) {
    connections.remove(connection);
    try {
      connection.channel.close();
    } catch (IOException e) {
      // Nothing more can be done to close it.
    }
  }

  /** A connection with its request and response. */
  private final class Connection {
    private final SocketChannel channel;
    private final ByteBuffer request = ByteBuffer.allocate(HttpRequest.LONGEST);
    private long deadline;
    private ByteBuffer[] answer = {};
    private boolean answered;

    Connection(SocketChannel channel, long deadline) {
      this.channel = channel;
      this.deadline = deadline;
    }

    /** Reads or writes what is possible now, and returns whether the connection is finished. */
    boolean isDone(SelectionKey key) throws IOException {
      if (answered) {
        // Discard further input: closing with unread input would reset the connection and lose the
        // response.
        request.clear();
        return channel.read(request) < 0;
      }
      if (answer.length == 0) {
        int read = channel.read(request);
        if (read <= 0) {
          return read < 0;
        }
        String head =
            new String(request.array(), 0, request.position(), StandardCharsets.ISO_8859_1);
        int end = head.indexOf("\r\n\r\n");
        if (end < 0 && request.hasRemaining()) {
          return false;
        }
        answer = end < 0 ? HttpAnswer.TOO_LONG.bytes(true) : answer(head.substring(0, end));
        key.interestOps(SelectionKey.OP_WRITE);
      }
      channel.write(answer);
      if (answer[answer.length - 1].hasRemaining()) {
        return false;
      }
      answered = true;
      answer = new ByteBuffer[0];
      deadline = Math.min(deadline, System.nanoTime() + FAREWELL.toNanos());
      channel.shutdownOutput();
      key.interestOps(SelectionKey.OP_READ);
      return false;
    }

    private ByteBuffer[] answer(String head) {
      try {
        HttpRequest request = HttpRequest.of(head);
        HttpAnswer answer = request.refusal().orElseGet(() -> pages.apply(request));
        return answer.bytes(!request.method().equals("HEAD"));
      } catch (IllegalArgumentException e) {
        return HttpAnswer.text(HttpAnswer.BAD_REQUEST, "not a request").bytes(true);
      } catch (RuntimeException e) {
        return HttpAnswer.text(HttpAnswer.FAILED, "internal error").bytes(true);
      }
    }
  }

  @Override
  public void close() {
    closing = true;
    selector.wakeup();
    boolean interrupted = false;
    while (thread.isAlive()) {
      try {
        thread.join();
      } catch (InterruptedException e) {
        interrupted = true;
      }
    }
    if (interrupted) {
      Thread.currentThread().interrupt();
    }
  }
}
