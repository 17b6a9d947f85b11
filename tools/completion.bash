# SPDX-License-Identifier: GPL-3.0-or-later
# bash completion for ml and the ml-* tools. Options are read from --help, so there is no list to keep.

_ml() {
    local tool=$1 word=${COMP_WORDS[COMP_CWORD]} help arg
    COMPREPLY=()
    if [[ ${tool##*/} == ml ]]; then
        if ((COMP_CWORD == 1)) && [[ $word != -* ]]; then
            mapfile -t COMPREPLY < <(compgen -W "$("$tool" 2>/dev/null | sed -n 's/^  ml \([a-z]*\) .*/\1/p')" -- "$word")
            return
        fi
        ((COMP_CWORD > 1)) && [[ ${COMP_WORDS[1]} != -* && ${COMP_WORDS[1]} != get ]] && tool+="-${COMP_WORDS[1]}"
    fi
    help=$("$tool" --help 2>/dev/null) || return
    if [[ $word == -* ]]; then
        mapfile -t COMPREPLY < <(compgen -W "$(sed -nE 's/^  (-[A-Za-z0-9], |    )(--[a-z0-9-]+).*/\1 \2/p' <<<"$help" | tr -d ,)" -- "$word")
        return
    fi
    # behind an option whose argument is a choice, "a|b|c": the choices
    arg=${COMP_WORDS[COMP_CWORD - 1]}
    [[ $arg == -* ]] || return
    arg=$(sed -nE "s/^ +(-[A-Za-z0-9], )?$arg ([a-z0-9_-]+(\|[a-z0-9_-]+)+)( .*)?$/\2/p" <<<"$help")
    mapfile -t COMPREPLY < <(compgen -W "${arg//|/ }" -- "$word")
}

complete -o default -F _ml ml $(ml 2>/dev/null | sed -n '/^  ml get /d; s/^  ml \([a-z]*\) .*/ml-\1/p')
