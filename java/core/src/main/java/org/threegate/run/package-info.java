/** Running long work: threads, progress, cancellation, and errors in what the user gave. */
package org.threegate.run;
