/**
 * Reads {@code threegate.h} and writes the Java code that mirrors it. The build runs {@link
 * org.threegate.binding.generator.Main} before it compiles the modules that call the native
 * library.
 */
package org.threegate.binding.generator;
