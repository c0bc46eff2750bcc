/* Between the writer and the reader of health logs: the names of the file's chunks. Nobody else includes this. */
#ifndef HEALTH_LOG_FILE_H
#define HEALTH_LOG_FILE_H

#define HEALTH_LOG_KIND	   "HLTH"
#define HEALTH_LOG_VERSION 2 /* with looks at the sessions; version 1 is read, and has none */

#define HEALTH_CHUNK_SAMPLES	"SAMP"
#define HEALTH_CHUNK_LOOKS	"LOOK" /* from version 2 on */
#define HEALTH_CHUNK_EVENTS	"EVNT" /* ... */
#define HEALTH_CHUNK_SERIES	"SERS"
#define HEALTH_CHUNK_ACTIVITIES "ACTV"
#define HEALTH_CHUNK_GAPS	"GAPS"
#define HEALTH_CHUNK_NOTES	"NOTE"
#define HEALTH_CHUNK_SUMMARY	"SUMM"

#endif
