/** Masks of the entries that a trainer may change, and the files that hold them. */
package org.threegate.analysis.mask;
