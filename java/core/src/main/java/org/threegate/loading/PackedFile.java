package org.threegate.loading;

import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;

/**
 * A library in a jar.
 *
 * @param name file name when it is unpacked
 * @param owner class whose loader has the resource
 * @param resource path of the resource
 * @param sha256 expected digests in hexadecimal digits; "" if they are unknown
 */
record PackedFile(String name, Class<?> owner, String resource, String sha256) {
  private static final String PARTS = ".parts.sha256";

  /** Returns a library whose parts have digests in a resource beside it. */
  static PackedFile of(Class<?> owner, String resource) throws IOException {
    return of(owner, resource, PARTS);
  }

  /** Returns a library with digests in a resource of the same name and an ending. */
  static PackedFile of(Class<?> owner, String resource, String digest) throws IOException {
    try (InputStream in = open(owner, resource + digest)) {
      String sha256 = new String(in.readAllBytes(), StandardCharsets.US_ASCII).strip();
      return new PackedFile(nameOf(resource), owner, resource, sha256);
    }
  }

  /** Returns a library without digests. */
  static PackedFile withoutDigest(Class<?> owner, String resource) {
    return new PackedFile(nameOf(resource), owner, resource, "");
  }

  private static String nameOf(String resource) {
    return resource.substring(resource.lastIndexOf('/') + 1);
  }

  /** Opens the resource. */
  InputStream open() throws IOException {
    return open(owner, resource);
  }

  /** Returns whether there is such a resource. */
  static boolean exists(Class<?> owner, String resource) {
    return owner.getResource(resource) != null || loader(owner).getResource(path(resource)) != null;
  }

  private static InputStream open(Class<?> owner, String resource) throws IOException {
    InputStream in = owner.getResourceAsStream(resource);
    if (in == null) {
      // A class in a named module finds resources of its own module only.
      in = loader(owner).getResourceAsStream(path(resource));
    }
    if (in == null) {
      throw new IOException(resource + " is not on the class path");
    }
    return in;
  }

  private static ClassLoader loader(Class<?> owner) {
    ClassLoader loader = owner.getClassLoader();
    return loader == null ? ClassLoader.getSystemClassLoader() : loader;
  }

  private static String path(String resource) {
    return resource.substring(1);
  }
}
