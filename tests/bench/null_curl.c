/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What a program costs that does nothing but is linked with libcurl. */
#include <curl/curl.h>

int main(int argc, char **argv)
{
    (void)argv;
    return argc > 1000 ? (int)curl_global_init(CURL_GLOBAL_DEFAULT) : 0;
}
