/*
 * Functions that this project does not use, turned into compile errors (after git's banned.h). The build includes this
 * file first in every source, so it takes in the headers that declare them before it hides them.
 */
#ifndef BANNED_H
#define BANNED_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define REHEARSE_BANNED(func) rehearse_function_##func##_is_banned

#undef strcpy
#define strcpy(a, b) REHEARSE_BANNED(strcpy)
#undef strcat
#define strcat(a, b) REHEARSE_BANNED(strcat)
#undef strncpy
#define strncpy(a, b, n) REHEARSE_BANNED(strncpy)
#undef strncat
#define strncat(a, b, n) REHEARSE_BANNED(strncat)
#undef strtok
#define strtok(a, b) REHEARSE_BANNED(strtok)
#undef sprintf
#define sprintf(...) REHEARSE_BANNED(sprintf)
#undef vsprintf
#define vsprintf(...) REHEARSE_BANNED(vsprintf)
#undef atoi
#define atoi(a) REHEARSE_BANNED(atoi)
#undef atol
#define atol(a) REHEARSE_BANNED(atol)
#undef gmtime
#define gmtime(a) REHEARSE_BANNED(gmtime)
#undef localtime
#define localtime(a) REHEARSE_BANNED(localtime)
#undef ctime
#define ctime(a) REHEARSE_BANNED(ctime)
#undef asctime
#define asctime(a) REHEARSE_BANNED(asctime)

#endif
