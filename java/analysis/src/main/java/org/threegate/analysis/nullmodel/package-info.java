/** Null models: random updates that a true update is compared with, and their measures. */
package org.threegate.analysis.nullmodel;
