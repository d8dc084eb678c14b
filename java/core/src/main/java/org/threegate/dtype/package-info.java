/** Floating-point formats. */
package org.threegate.dtype;
