# Completion of dit4sr for bash. Where nothing is offered, bash completes files.
_dit4sr() {
    local program=${1/#\~\//$HOME/} word value words=() typed=("${COMP_WORDS[@]:1:COMP_CWORD}")
    # bash takes --name=value apart, into three words.
    for word in "${typed[@]}"; do
        if [[ ${#words[@]} -gt 0 && ( $word == = || ${words[${#words[@]}-1]} == --*= ) ]]; then
            words[${#words[@]}-1]+=$word
        else
            words+=("$word")
        fi
    done
    COMPREPLY=()
    while IFS=$'\t' read -r value _; do
        [[ ${words[${#words[@]}-1]} == --*=* ]] && value=${value#*=}
        COMPREPLY+=("$(printf '%q' "$value")")
    done < <("$program" complete -- "${words[@]}" 2>/dev/null)
}
complete -o default -o bashdefault -F _dit4sr dit4sr
