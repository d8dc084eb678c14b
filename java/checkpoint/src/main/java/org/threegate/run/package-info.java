/** Long work: threads, progress, cancellation, and errors in the input. */
package org.threegate.run;
