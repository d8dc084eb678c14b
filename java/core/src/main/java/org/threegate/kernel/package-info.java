/**
 * A thin API over the native library: contexts, mapped files, and a class for each family of
 * kernels.
 */
package org.threegate.kernel;
