/** Masks of the entries that training may change, and their file format. */
package org.threegate.analysis.mask;
