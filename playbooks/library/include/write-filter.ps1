# Finds what may undo every change of this PC at its next start. Needs probe.ps1 and
# freeze-signs.ps1.
#
# Microsoft's filters say themselves whether they are in force. Of other makers' products only that
# they are there shows: whether the disk is frozen now, their own consoles alone can tell.

# Tells what is there. uwf_enabled: whether the Unified Write Filter is in force in this life of
# Windows; null, this Windows has none. products: others that start with Windows, without repeats.
function Get-WriteFilter {
    $answer = [PSCustomObject][ordered]@{ uwf_enabled = $null; products = $null }
    try {
        $filters = @(Get-CimInstance -Namespace 'root\standardcimv2\embedded' -ClassName UWF_Filter -OperationTimeoutSec 10)
        if ($filters.Count -gt 0) { $answer.uwf_enabled = [bool]$filters[0].CurrentEnabled }
    } catch {
        # Most editions of Windows have no such namespace or class: WBEM_E_INVALID_NAMESPACE,
        # WBEM_E_INVALID_CLASS. Anything else is a filter that may be there.
        $code = Get-ErrorCode $_
        $none = $_.Exception -is [Microsoft.Management.Infrastructure.CimException] -and
            @(3, 5) -contains [int]$_.Exception.NativeErrorCode
        if (-not $none -and @(-2147217394, -2147217392) -notcontains $code) { throw }
    }
    $found = New-Object System.Collections.ArrayList
    $programs = @(Get-ProgramNames)
    $filters = @(Get-VolumeFilters)
    foreach ($signature in @(Get-FreezeSignatures)) {
        # An image that is shared is served to PCs that keep what is theirs, too.
        if ($signature.layer -ne 'disk' -or $found.Contains([string]$signature.product)) { continue }
        if (Test-Signature $signature $programs $filters) { [void]$found.Add([string]$signature.product) }
    }
    $answer.products = $found.ToArray()
    return $answer
}
