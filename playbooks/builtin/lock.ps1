# Holds this PC for one run of the controller, for as long as this process lives, so that no other
# controller repairs it at the same time. Run again in the same process or by the same run, it
# holds on.

param($Params)

$ErrorActionPreference = 'Stop'
$ProgressPreference = 'SilentlyContinue'

# What counts is that the object is there, not which thread owns the mutex: every step runs on a
# thread of its own, and a mutex whose thread has ended would count as abandoned. Windows takes the
# object away with the last process that has it open, however that ends.
$all = 'Global\fleetmend'
# A second one says whose it is: after a lost connection the process before may live on for a
# while, and the run that comes back is the same.
$own = 'Global\fleetmend-run-' + $Params.run

# Returns who may open such an object: a controller that logs on as another administrator must see
# it. A token that User Account Control has cut down counts as its user alone.
function New-Access {
    $administrators = New-Object System.Security.Principal.SecurityIdentifier 'S-1-5-32-544'
    $system = New-Object System.Security.Principal.SecurityIdentifier 'S-1-5-18'
    $user = [System.Security.Principal.WindowsIdentity]::GetCurrent().User
    $access = New-Object System.Security.AccessControl.MutexSecurity
    foreach ($sid in @($administrators, $system, $user)) {
        $rule = New-Object System.Security.AccessControl.MutexAccessRule $sid, 'FullControl', 'Allow'
        $access.AddAccessRule($rule)
    }
    return $access
}

# Opens an object, or makes it: new says which.
function Open-Named([string]$Name, $Access) {
    $new = $false
    $handle = New-Object System.Threading.Mutex -ArgumentList $false, $Name, ([ref]$new), $Access
    return [PSCustomObject][ordered]@{ handle = $handle; new = $new }
}

# Takes hold: the two handles, or nothing if another has the PC.
function Get-Hold {
    $access = New-Access
    $first = Open-Named $all $access
    $second = $null
    try {
        $second = Open-Named $own $access
        # Not new, but of this run: whoever made it runs for the same.
        if ($first.new -or -not $second.new) { return , @($first.handle, $second.handle) }
        $second.handle.Close()
        $second = $null
        $first.handle.Close()
        $first = $null
        return $null
    } catch {
        if ($null -ne $second) { $second.handle.Close() }
        if ($null -ne $first) { $first.handle.Close() }
        throw
    }
}

$domain = [AppDomain]::CurrentDomain
$key = 'fleetmend.' + $own
$held = $null -ne $domain.GetData($key)
$failure = $null
# Two that begin at the same time see each other's handles for a moment.
for ($try = 0; $try -lt 3 -and -not $held -and $null -eq $failure; $try++) {
    if ($try -gt 0) { Start-Sleep -Milliseconds (200 + (Get-Random -Maximum 300)) }
    try {
        $hold = Get-Hold
        if ($null -ne $hold) {
            # Without this the handles would be closed when nothing of this step is left.
            $domain.SetData($key, $hold)
            $held = $true
        }
    } catch {
        $exception = $_.Exception.GetBaseException()
        # Somebody made it whose objects this account may not open: it is held.
        $code = [System.Runtime.InteropServices.Marshal]::GetHRForException($exception)
        # 0x8007xxxx carries a Win32 code.
        if (($code -band -65536) -eq -2147024896) { $code = $code -band 65535 }
        $failure = [PSCustomObject][ordered]@{
            code = [long]$code
            error_id = $exception.GetType().FullName
        }
    }
}

[PSCustomObject][ordered]@{
    held = $held
    error = $failure
}
